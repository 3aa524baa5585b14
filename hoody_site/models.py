"""API tokens: one or more for each user, of which only a digest is kept."""

import hashlib
import secrets
from datetime import timedelta

from django.conf import settings
from django.db import models
from django.utils import timezone

_PREFIX = "hdt_"  # tells people and secret scanners what they have found
_LAST_USED_ACCURACY = timedelta(minutes=1)


class ApiToken(models.Model):
    """What a client sends as ``Authorization: Bearer <token>``; acts with its user's permissions."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100, help_text="What or who uses it.")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"{self.name} ({self.user})"

    @classmethod
    def issue(cls, user: models.Model, name: str) -> str:
        """Make a token for a user and return it: this is the only time that it can be seen."""
        token = _PREFIX + secrets.token_urlsafe(32)
        cls.objects.create(user=user, name=name, digest=digest_of(token))
        return token

    def used(self) -> None:
        """Remember the use, to the minute: not every request shall write."""
        now = timezone.now()
        if self.last_used_at is None or now - self.last_used_at > _LAST_USED_ACCURACY:
            ApiToken.objects.filter(pk=self.pk).update(last_used_at=now)


def digest_of(token: str) -> str:
    """The form in which a token is kept. It is random and long: a plain hash can't be guessed back."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()
