"""One-time codes with which hosts add themselves, or tell a new address and a new token."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError

from daemon_programs.exceptions import NotPermitted
from fleet import database
from fleet.exceptions import InviterNotPermitted
from fleet.models import Host, Invitation
from fleet.registry import checking, hosts

logger = logging.getLogger(__name__)


class CodeNotValid(Exception):
    """There is no such code, or it has expired or was used."""


def prepare(invitation: Invitation, *, user: str, may_change: bool) -> None:
    """Complete an invitation by who has made it, and by what it allows.

    With the name of a host that is there, it allows to replace that host's address and token: raise
    NotPermitted if the user may not do so.
    """
    invitation.made_by = user
    invitation.replaces = bool(invitation.name) and Host.objects.filter(name=invitation.name).exists()
    if invitation.replaces and not may_change:
        raise NotPermitted


def invite(values: dict[str, Any], *, user: str, may_change: bool) -> tuple[Invitation, str]:
    """Make an invitation, and return it with its code, which is not stored. Expired ones are removed."""
    invitation = Invitation(
        name=values["name"] or "", labels=values["labels"], expires_at=expiry_after(values["ttl"])
    )
    prepare(invitation, user=user, may_change=may_change)
    code = invitation.make_code()
    invitation.full_clean()
    with database.atomic():
        remove_expired()
        invitation.save(force_insert=True)
    return invitation, code


def expiry_after(seconds: int) -> datetime:
    """Return when an invitation of so many seconds expires."""
    return database.now() + timedelta(seconds=seconds)


def remove_expired() -> None:
    """Remove the invitations that were not used in time."""
    Invitation.objects.filter(expires_at__lte=database.now()).delete()


def join(values: dict[str, Any], *, check: bool) -> Host:
    """Add the host that has sent a code, or replace its address and token.

    The code is used up with success only. Raise CodeNotValid, InviterNotPermitted, or a ValidationError if
    the host is not valid, or is checked and can't be used.
    """
    values = dict(values)
    code = values.pop("code")
    invitation = Invitation.valid(code).first()
    if invitation is None:
        raise CodeNotValid
    _require_inviter(invitation)
    host = _host_of(invitation, values)
    hosts.validate(host)
    if check:
        checking.require(host)  # before the transaction: it may take its time
    with database.atomic():
        # Of those that have come here with one code, it is one that deletes the row.
        if not Invitation.valid(code).delete()[0]:
            raise CodeNotValid
        if host._state.adding:
            hosts.insert(host)
        else:
            hosts.save(host, [*hosts.WAY, "labels"])
    logger.info("The host '%s' has joined, invited by %s", host, invitation.made_by)
    return host


def _require_inviter(invitation: Invitation) -> None:
    """Raise InviterNotPermitted unless the user that has made a code may still do what it is for."""
    user = User.objects.filter(username=invitation.made_by).first()
    if user is None:
        raise InviterNotPermitted("The user that made the code is none of this hub")
    if not user.is_active:
        raise InviterNotPermitted("The user that made the code is not active any more")
    verb = "change" if invitation.replaces else "add"
    if not user.has_perms(["fleet.add_host", f"fleet.{verb}_host"]):
        raise InviterNotPermitted(f"The user that made the code may not {verb} hosts any more")


def _host_of(invitation: Invitation, values: dict[str, Any]) -> Host:
    """Return the host that an invitation is for, as it describes itself, not saved yet."""
    name = values.pop("name") or invitation.name
    if not name:
        raise ValidationError({"name": "Field 'name' is required, since the code is for any host"})
    if invitation.name and name != invitation.name:
        raise ValidationError({"name": f"Field 'name' must be '{invitation.name}', which the code is for"})
    known = Host.objects.filter(name=name).first()
    if known and not invitation.replaces:
        raise ValidationError({"name": f"Field 'name' must be free: to replace '{name}' takes a new code"})
    host = known or Host(name=name, added_by=invitation.made_by)
    if invitation.labels:
        host.labels = invitation.labels
    hosts.set_values(host, values)
    return host
