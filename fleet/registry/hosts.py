"""Adds, changes and removes hosts. One that doesn't work is refused, unless it is not to be checked."""

import logging
from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.db.models import QuerySet
from django.db.models.functions import Now

from fleet import database
from fleet.exceptions import HostNotFound
from fleet.models import Host
from fleet.registry import checking
from fleet.validators import check_token

logger = logging.getLogger(__name__)

# Where a token is sent. They are written together, so that no writer pairs its own with those of another.
WAY = ("url", "ca", "sealed_token")
NOT_WITHOUT_IT = (
    "Field 'token' is required to change 'url' or 'ca', since the one that is stored is not sent elsewhere"
)


def all_hosts() -> QuerySet[Host]:
    """Return all hosts by name, each with how it stands with its link, and when that was read."""
    return Host.objects.select_related("link").annotate(read_at=Now()).order_by("name")


def get_host(name: str) -> Host:
    """Return the host of a name; raise HostNotFound."""
    host = all_hosts().filter(name=name).first() if "\0" not in name else None
    if host is None:
        raise HostNotFound(name)
    return host


def add_host(values: dict[str, Any], *, user: str, check: bool) -> Host:
    """Add a host. Raise a ValidationError if it is not valid, or is checked and can't be used."""
    host = Host(added_by=user)
    set_values(host, values)
    validate(host)
    if check:
        checking.require(host)
    insert(host)
    logger.info("The host '%s' was added by %s", host, user)
    return host


def edit_host(name: str, values: dict[str, Any], *, user: str, check: bool) -> Host:
    """Change what is given of a host.

    Another URL or CA needs the token: otherwise who may change hosts could have the stored one sent to a
    server of their own.
    """
    host = get_host(name)
    is_led_elsewhere = leads_elsewhere(host, values)
    if is_led_elsewhere and "token" not in values:
        raise ValidationError({"token": NOT_WITHOUT_IT})
    is_way_changed = is_led_elsewhere or "token" in values
    set_values(host, values)
    validate(host)
    if is_way_changed and check:
        checking.require(host)
    changed = {*values, *WAY} - {"token"} if is_way_changed else set(values) - {*WAY, "token"}
    save(host, changed)
    logger.info("The host '%s' was changed by %s", host, user)
    return host


def remove_host(name: str, *, user: str) -> str:
    """Remove a host, with all that was kept of it, and return its name. The host itself goes on."""
    host = get_host(name)
    with database.recording():
        # What others write of the host at this moment can't be committed before it is gone, and fails then.
        Host.objects.select_for_update().filter(pk=host.pk).first()
        host.delete()
    logger.info("The host '%s' was removed by %s", name, user)
    return name


def leads_elsewhere(host: Host, values: dict[str, Any]) -> bool:
    """Return whether the token of a host would be sent to another address, or checked by another CA."""
    url, ca = values.get("url", host.url), values.get("ca", host.ca)
    return plain(url) != host.url or ca.strip() != host.ca.strip()


def set_values(host: Host, values: dict[str, Any]) -> None:
    """Set what is given of a host, the token included, and not save it."""
    for name, value in values.items():
        if name == "token":
            check_token_field(value)
        setattr(host, name, plain(value) if name == "url" else value)


def check_token_field(token: str) -> None:
    """Require what can be a token; raise a ValidationError of its field."""
    try:
        check_token(token)
    except ValidationError as problem:
        raise ValidationError({"token": problem.messages}) from None


def validate(host: Host) -> None:
    """Require that the host's fields follow the rules, and that no other has its name."""
    host.full_clean()


def insert(host: Host) -> None:
    """Save a new host; raise a ValidationError if another has taken its name meanwhile."""
    try:
        with database.atomic():
            host.save(force_insert=True)
    except IntegrityError:
        validate(host)
        raise


def save(host: Host, fields: Iterable[str]) -> None:
    """Save fields of a host; raise HostNotFound if it was removed meanwhile."""
    changed = {name: getattr(host, name) for name in fields}
    with database.atomic():
        if changed and not Host.objects.filter(pk=host.pk).update(**changed):
            raise HostNotFound(host.name)


def plain(url: str) -> str:
    """Return a URL without the slash at its end, which means nothing."""
    return url.rstrip("/")
