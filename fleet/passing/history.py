"""The history of a hub: who has asked for what on which host, and what the host has answered.

A row is written before a request is sent, so that none is missing after a crash: one without a status may
have arrived or not. Bodies are not stored, since they may hold secrets.
"""

import logging
from typing import Any

from django.db import DatabaseError

from daemon_programs.history import retention
from daemon_programs.timestamps import milliseconds
from fleet.models import HostCall

logger = logging.getLogger(__name__)

_MOST_PATH = 500  # characters
_MOST_ERROR = 1000


def record(user: str, host: str, method: str, path: str) -> HostCall:
    """Record that a request is about to be sent to a host."""
    return HostCall.objects.create(user=user[:150], host=host, method=method, path=path[:_MOST_PATH])


def complete(call: HostCall, code: int | None, error: str = "") -> None:
    """Record what has become of a request; without a status it is not known whether it has arrived.

    A database that can't be written doesn't fail the request, which is done already.
    """
    error = error.replace("\0", "")[:_MOST_ERROR]  # a host may say anything, and PostgreSQL takes no NUL
    try:
        HostCall.objects.filter(pk=call.pk).update(code=code, error=error)
    except DatabaseError as problem:
        logger.warning("What has become of %s could not be recorded: %s", call, problem)


def purge() -> int:
    """Delete calls that are too old or too many, by the limits of the history; return how many."""
    return retention.purge(HostCall.objects.all())


def call_document(call: HostCall) -> dict[str, Any]:
    """Return a call as ``GET fleet/calls`` shows it, without the keys that are not set."""
    document: dict[str, Any] = {
        "id": call.pk,
        "at": milliseconds(call.at),
        "user": call.user,
        "host": call.host,
        "method": call.method,
        "path": call.path,
        "code": call.code,
        "error": call.error or None,
    }
    return {key: value for key, value in document.items() if value is not None}
