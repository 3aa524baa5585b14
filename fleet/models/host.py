"""The hosts: where their daemons answer, and with which token."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime

from django.db import models
from django.db.models.functions import Now

from daemon_programs.validators.labels import check_labels
from fleet import sealing
from fleet.exceptions import TokenUnreadable
from fleet.validators import check_ca, check_name, check_url


class Host(models.Model):
    """Another daemon, which this one follows and passes requests on to."""

    name = models.CharField(
        max_length=63,
        unique=True,
        validators=[check_name],
        help_text="Lower-case letters, digits, '-' and '.'. It can't be changed later.",
        error_messages={"unique": "Field 'name' must be that of no other host"},
    )
    url = models.CharField(
        "URL",
        max_length=500,
        validators=[check_url],
        help_text="Where its daemon answers, such as https://web-1.example.com:8000. "
        "A change needs the token.",
    )
    ca = models.TextField(
        "CA",
        blank=True,
        default="",
        validators=[check_ca],
        help_text="The certificates (PEM) that its certificate must lead to. Empty: those of this system. "
        "A change needs the token.",
    )
    sealed_token = models.TextField(editable=False)
    labels = models.JSONField(blank=True, default=dict, validators=[check_labels])
    notes = models.TextField(blank=True, default="", help_text="Free text.")
    added_at = models.DateTimeField(auto_now_add=True)
    added_by = models.CharField(max_length=150, blank=True, default="", editable=False)

    class Meta:
        ordering = ["name"]
        permissions = [("operate_host", "Can pass requests on to hosts")]

    def __str__(self) -> str:
        return self.name

    @property
    def has_tls(self) -> bool:
        """Whether the host has to prove who it is; schemes may be in capitals."""
        return self.url.lower().startswith("https:")

    @property
    def token(self) -> str:
        """The token that the host's daemon has given; raise TokenUnreadable if the key is another one."""
        return sealing.unseal(self.sealed_token)

    @token.setter
    def token(self, text: str) -> None:
        self.sealed_token = sealing.seal(text)

    @property
    def token_problem(self) -> str:
        """Why the token can't be read, as a sentence; empty if it can."""
        try:
            sealing.unseal(self.sealed_token)
        except TokenUnreadable as problem:
            return str(problem)
        return ""


class Invitation(models.Model):
    """A code with which a host adds itself, once. Only a digest of the code is stored."""

    digest = models.CharField(max_length=64, unique=True, editable=False)
    name = models.CharField(
        max_length=63,
        blank=True,
        default="",
        validators=[check_name],
        help_text="The host's. Empty: it chooses one that is free.",
    )
    # Whether the host of that name was there, so that it may be replaced. One that comes later may not.
    replaces = models.BooleanField(default=False, editable=False)
    labels = models.JSONField(blank=True, default=dict, validators=[check_labels])
    made_by = models.CharField(max_length=150, blank=True, default="", editable=False)
    made_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"for {self.name or 'any host'}"

    @classmethod
    def issue(cls, expires_at: datetime, **fields: object) -> str:
        """Make an invitation, and return its code, which can't be read again later."""
        invitation = cls(expires_at=expires_at, **fields)
        code = invitation.make_code()
        invitation.save(force_insert=True)
        return code

    def make_code(self) -> str:
        """Give a new invitation its code, and return it."""
        code = "hdi_" + secrets.token_urlsafe(24)
        self.digest = _digest_of(code)
        return code

    @classmethod
    def valid(cls, code: str) -> models.QuerySet[Invitation]:
        """Return the invitation with a code, as rows to be locked and deleted; none if it isn't valid."""
        return cls.objects.filter(digest=_digest_of(code), expires_at__gt=Now())


def _digest_of(code: str) -> str:
    return hashlib.sha256(code.encode(errors="surrogatepass")).hexdigest()
