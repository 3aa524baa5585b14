"""Launch a temporary program on one of the hosts that are asked for."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from django.db.models import Count
from django.db.models.functions import Now

from daemon_programs.exceptions import DaemonError
from daemon_programs.programs import waiting
from fleet import database
from fleet.exceptions import HostUnreachable, NoConnection, NoCurrentHost, NoHostMatches
from fleet.models import Host, HostCall, Link
from fleet.placement.choice import Candidate, by_room

ROUTE = "quick-start"
PATH = f"/api/v1/daemon/{ROUTE}"
# A host that is followed tells something every 15 seconds.
_CURRENT_SECONDS = 60
# What was placed on a host shows in its memory and load about a minute later.
_UNSEEN_SECONDS = 60
_MOST_TRIES = 5  # a connection takes 5 seconds at most
_ANSWER_SECONDS = 60
_MARGIN_SECONDS = 15  # in which a host answers once it has waited
_WATCHED = "fleet"  # no group of a program: the host watches its own


class Launched(NamedTuple):
    """The answer of the host that was chosen: a success, or its error."""

    code: int
    document: dict[str, Any]


def launch(
    body: Mapping[str, Any],
    *,
    names: Sequence[str] = (),
    labels: Mapping[str, str] | None = None,
    wait: bool | str = False,
    timeout: int = 30,
    user: str = "",
) -> Launched:
    """Have a host run a temporary program, and return its answer with ``host``.

    It is one of those with a name like one of ``names`` and with all ``labels``. The next one is tried only
    if no connection came about. Raise NoHostMatches, NoCurrentHost, HostUnreachable, TooManyWaits.
    """
    hosts = {host.name: host for host in _current_hosts(names, labels or {})}
    placed = _placed_lately()
    candidates = (Candidate(name, host.link.machine, placed.get(name, 0)) for name, host in hosts.items())
    seconds = timeout + _MARGIN_SECONDS if wait else _ANSWER_SECONDS
    with waiting.reserve_watch(_WATCHED, bool(wait)):
        return _first_answer(
            [hosts[each.name] for each in by_room(candidates)[:_MOST_TRIES]],
            lambda host: _ask(host, body, user, seconds),
        )


def _current_hosts(names: Sequence[str], labels: Mapping[str, str]) -> list[Host]:
    """Return the hosts that are meant, and of which is known how they are."""
    matching = [
        host
        for host in Host.objects.select_related("link")
        if (not names or any(fnmatchcase(host.name, name) for name in names))
        and labels.items() <= host.labels.items()
    ]
    if not matching:
        raise NoHostMatches
    now = database.now()
    current = [host for host in matching if _is_current(host, now)]
    if not current:
        raise NoCurrentHost([host.name for host in matching])
    return current


def _is_current(host: Host, now: datetime) -> bool:
    link: Link | None = getattr(host, "link", None)  # without one it was never followed
    if link is None or link.state != Link.State.CURRENT or link.heard_at is None:
        return False
    # Without a follower it is not written that the host is lost.
    return now - link.heard_at <= timedelta(seconds=_CURRENT_SECONDS)


def _placed_lately() -> dict[str, int]:
    """Return by host how many programs were launched there through a hub in the last minute."""
    since = Now() - timedelta(seconds=_UNSEEN_SECONDS)
    calls = HostCall.objects.filter(at__gte=since, method="POST", path=PATH, error="")
    launched = calls.exclude(code__gte=400).order_by()
    return dict(launched.values_list("host").annotate(Count("pk")))


def _first_answer(hosts: Sequence[Host], ask: Callable[[Host], Launched]) -> Launched:
    """Return the answer of the first host with which a connection comes about."""
    problems = []
    for host in hosts:
        try:
            return ask(host)
        except NoConnection as problem:
            problems.append(problem)
    raise problems[0] if len(problems) == 1 else NoConnection("; ".join(map(str, problems)))


def _ask(host: Host, body: Mapping[str, Any], user: str, seconds: float) -> Launched:
    """Return the answer of a host, and record the call."""
    from fleet import client  # with urllib3, which a stack without hosts has no use for

    with database.recording():
        call = HostCall.objects.create(user=user, host=host.name, method="POST", path=PATH)
    try:
        answer = client.call(host, "POST", ROUTE, body=body, user=user, seconds=seconds)
        call.code = answer.code
        if answer.code == 401:
            raise HostUnreachable(f"Host '{host.name}' refuses the hub's token")
        if not isinstance(answer.document, dict) or not (answer.is_ok or answer.code >= 400):
            raise HostUnreachable(f"Host '{host.name}' has answered with the status {answer.code}")
    except DaemonError as problem:
        call.error = str(problem)
        problem.extra["host"] = host.name
        raise
    finally:
        with database.atomic():
            call.save(update_fields=["code", "error"])
    return Launched(answer.code, {**answer.document, "host": host.name})
