"""Sign webhooks with one secret for each program (Standard Webhooks, symmetric keys)."""

import base64
import secrets
from datetime import datetime, timedelta

from django.utils import timezone
from standardwebhooks import Webhook

from daemon_programs.exceptions import Refused
from daemon_programs.models import Program, WebhookSecret
from daemon_programs.transactions import write_transaction

_PREFIX = "whsec_"
_BYTES = 32
# For so long after a rotation, deliveries are signed with the previous secret too.
OVERLAP = timedelta(hours=24)


def rotate(program: Program) -> str:
    """Replace the secret of a program and return the new one; it is not shown again.

    Raise Refused for a program without webhooks.
    """
    if program.webhooks is None:
        raise Refused(f"Program with ID {program.pk} has no webhooks to sign")
    secret = _new()
    with write_transaction():
        old = WebhookSecret.objects.filter(program=program).first()
        WebhookSecret.objects.update_or_create(
            program=program,
            defaults={
                "secret": secret,
                "previous": old.secret if old else "",
                "rotated_at": timezone.now(),
            },
        )
    return secret


def sign(program: Program, webhook_id: str, moment: datetime, body: str) -> str:
    """Return the signatures of a delivery by the secrets that are valid at a moment, separated by spaces.

    A secret is generated for a program that has none. To see it and verify with it, the user rotates it.
    """
    kept, _ = WebhookSecret.objects.get_or_create(
        program=program, defaults={"secret": _new(), "rotated_at": timezone.now()}
    )
    valid = [kept.secret]
    if kept.previous and moment < kept.rotated_at + OVERLAP:
        valid.append(kept.previous)
    return " ".join(Webhook(secret).sign(webhook_id, moment, body) for secret in valid)


def _new() -> str:
    return _PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()
