"""API tokens: one or more for each user, of which only a digest is kept."""

from __future__ import annotations

import hashlib
import logging
import secrets
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db import DatabaseError, models
from django.utils import timezone

logger = logging.getLogger(__name__)

_PREFIX = "hdt_"  # tells people and secret scanners what they have found
_LAST_USED_ACCURACY = timedelta(minutes=1)


class ApiToken(models.Model):
    """What a client sends as ``Authorization: Bearer <token>``; acts with its user's permissions."""

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
        """Make a token for a user and return it: this is the only time that it can be seen."""
        token = new_token()
        expires_at = timezone.now() + lifetime if lifetime else None
        cls.objects.create(user=user, name=name, digest=digest_of(token), expires_at=expires_at)
        return token

    @classmethod
    def find(cls, token: str) -> ApiToken | None:
        """Found by its digest, so that no comparison tells how much of a guess was right."""
        return cls.objects.select_related("user").filter(digest=digest_of(token)).first()

    def rotate(self) -> str:
        """Put a new token in its place and return it; the old one is revoked. It lives as long as that."""
        now = timezone.now()
        token = new_token()
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
        return self.expires_at is not None and self.expires_at <= timezone.now()

    def used(self) -> None:
        """Remember the use, to the minute: not every request shall write."""
        now = timezone.now()
        if self.last_used_at is not None and now - self.last_used_at <= _LAST_USED_ACCURACY:
            return
        try:
            ApiToken.objects.filter(pk=self.pk).update(last_used_at=now)
        except DatabaseError:  # a full disk is no reason to refuse what only reads
            logger.exception("The use of an API token can't be remembered")


def new_token() -> str:
    """One that nobody has."""
    return _PREFIX + secrets.token_urlsafe(32)


def digest_of(token: str) -> str:
    """The form in which a token is kept. It is random and long: a plain hash can't be guessed back."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()
