"""Asks a host now: does it answer, is it a daemon, does it accept the token, and which version is it?"""

from __future__ import annotations

import contextlib
import time
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError

from fleet.exceptions import HostUnreachable, TokenUnreadable
from fleet.models import Host

_SERVICE = "hoody-daemon"  # what the health of each says
_SECONDS = 10.0  # to wait for each answer
_NAME_REFUSED = "host_not_allowed"
_MOST_VERSION = 50


class Problem(NamedTuple):
    """What keeps a hub from using a host, and the field that is probably wrong."""

    field: str
    sentence: str


class Outcome(NamedTuple):
    """What a host has answered. The version is empty if it is not known."""

    is_reachable: bool
    is_token_accepted: bool
    version: str
    milliseconds: int
    problem: Problem | None


def require(host: Host) -> None:
    """Raise a ValidationError, for the field that is probably wrong, if a host can't be used."""
    if problem := ask(host).problem:
        raise ValidationError({problem.field: problem.sentence})


def ask(host: Host) -> Outcome:
    """Ask a host what it is, and then, with its token, for the states of its programs.

    The token is sent only to what says that it is a daemon: a mistyped address shall not get it.
    """
    began = time.monotonic()
    problem = _problem_of_address(host)
    is_reachable = problem is None
    version = ""
    if is_reachable:
        problem = _problem_of_token(host)
    if problem is None:
        version = _version_of(host)
    milliseconds = round((time.monotonic() - began) * 1000)
    return Outcome(is_reachable, problem is None, version, milliseconds, problem)


def _problem_of_address(host: Host) -> Problem | None:
    from fleet import client

    try:
        answer = client.call(host, "GET", "health", seconds=_SECONDS, with_token=False)
    except HostUnreachable as problem:
        return Problem("ca" if client.is_distrusted(problem) else "url", str(problem))
    document = answer.document if isinstance(answer.document, dict) else {}
    if document.get("code") == _NAME_REFUSED:
        return Problem(
            "url",
            f"The daemon at {host.url} is not to be asked under this name: see its DAEMON_ALLOWED_HOSTS",
        )
    if not answer.is_ok or document.get("service") != _SERVICE:
        return Problem("url", f"What answers at {host.url} is not the API of a daemon")
    return None


def _problem_of_token(host: Host) -> Problem | None:
    from fleet import client

    try:
        code = client.call(host, "GET", "status", seconds=_SECONDS).code
    except TokenUnreadable as problem:
        return Problem("token", str(problem))
    except HostUnreachable as problem:
        return Problem("url", str(problem))
    sentences = {
        401: f"The daemon at {host.url} does not accept the token",
        403: f"The user of the token may not view programs at {host.url}",
        429: f"The daemon at {host.url} has met too many wrong tokens from here; try again later",
    }
    if code in sentences:
        return Problem("token", sentences[code])
    return (
        None
        if code == 200
        else Problem("url", f"The daemon at {host.url} has answered with the status {code}")
    )


def _version_of(host: Host) -> str:
    """Return the version of a host's daemon; empty if it is one that doesn't tell it."""
    from fleet import client

    with contextlib.suppress(HostUnreachable):
        answer = client.call(host, "GET", "machine", seconds=_SECONDS)
        if answer.is_ok and isinstance(answer.document, dict):
            return str(answer.document.get("version", ""))[:_MOST_VERSION]
    return ""


def document_of(outcome: Outcome) -> dict[str, Any]:
    """Return what was found as JSON."""
    return {
        "reachable": outcome.is_reachable,
        "token_accepted": outcome.is_token_accepted,
        "version": outcome.version or None,
        "milliseconds": outcome.milliseconds,
        "problem": outcome.problem.sentence if outcome.problem else None,
    }
