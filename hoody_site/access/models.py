"""API tokens of users. Only a digest of each token is stored."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db import models
from django.utils import timezone

from daemon_programs.prepared import Prepared

_PREFIX = "hdt_"  # lets people and secret scanners recognise a leaked token


class ApiToken(models.Model):
    """A token that a client sends as ``Authorization: Bearer <token>`` to act with its user's permissions."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100, help_text="What or who uses it.")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty: never.")

    class Meta:
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"{self.name} ({self.user})"

    @classmethod
    def issue(cls, user: models.Model, name: str, lifetime: timedelta | None = None) -> str:
        """Create a token for a user and return its text, which can't be read again later."""
        token = generate_token()
        expires_at = timezone.now() + lifetime if lifetime else None
        cls.objects.create(user=user, name=name, digest=digest_of(token), expires_at=expires_at)
        return token

    @classmethod
    def find(cls, token: str) -> ApiToken | None:
        """Return the token with this text, or None.

        It is looked up by its digest, so that response times say nothing about how close a guess is.
        """
        return next(_by_digest.objects(_by_digest.rows(digest_of(token))), None)

    def rotate(self) -> str:
        """Replace the token with a new one of the same lifetime, and return its text; revoke the old one."""
        now = timezone.now()
        token = generate_token()
        if self.expires_at is not None:
            self.expires_at = now + (self.expires_at - self.created_at)
        self.digest, self.created_at, self.last_used_at = digest_of(token), now, None
        self.save()
        return token

    def current_user(self) -> User | AnonymousUser:
        """Return the user that the token stands for now; anonymous once it is revoked or has expired."""
        token = type(self).objects.select_related("user").filter(pk=self.pk, digest=self.digest).first()
        if token is None or token.has_expired or not token.user.is_active:
            return AnonymousUser()
        return token.user

    @property
    def has_expired(self) -> bool:
        """Return whether the token had an expiry time that has passed."""
        return self.expires_at is not None and self.expires_at <= timezone.now()


_by_digest = Prepared(lambda: ApiToken.objects.select_related("user").filter(digest=""))


def generate_token() -> str:
    """Return the text of a new random token."""
    return _PREFIX + secrets.token_urlsafe(32)


def digest_of(token: str) -> str:
    """Return the SHA-256 digest under which a token is stored.

    A token is long and random, so a plain hash can't be reversed by guessing.
    """
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()
