"""Launch a temporary program on one of the hosts that are asked for."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from django.db.models import Count
from django.db.models.functions import Now

from daemon_programs.exceptions import DaemonError
from daemon_programs.programs import waiting
from daemon_programs.validators.labels import Selector
from fleet import database
from fleet.exceptions import HostUnreachable, NoConnection, NoCurrentHost, NoHostMatches
from fleet.models import Host, HostCall
from fleet.placement.choice import Candidate, by_room
from fleet.reading.hosts import KnownHost, chosen_hosts

ROUTE = "quick-start"
PATH = f"/api/v1/daemon/{ROUTE}"
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
    labels: Sequence[Selector] = (),
    wait: bool | str = False,
    timeout: int = 30,
    user: str = "",
) -> Launched:
    """Have a host run a temporary program, and return its answer with ``host``.

    It is one of those with a name like one of ``names`` and with all ``labels``. The next one is tried only
    if no connection came about. Raise HostNotFound, NoHostMatches, NoCurrentHost, HostUnreachable,
    TooManyWaits.
    """
    hosts, placed = _current_hosts(names, labels), _placed_lately()
    ordered = by_room(Candidate(each.name, each.machine, placed.get(each.name, 0)) for each in hosts)
    tried = [candidate.name for candidate in ordered[:_MOST_TRIES]]
    rows = Host.objects.in_bulk(tried, field_name="name")
    if not rows:  # they were removed a moment ago
        raise NoHostMatches
    seconds = timeout + _MARGIN_SECONDS if wait else _ANSWER_SECONDS
    with waiting.reserve_watch(_WATCHED, bool(wait)):
        return _first_answer(
            [rows[name] for name in tried if name in rows], lambda host: _ask(host, body, user, seconds)
        )


def _current_hosts(names: Sequence[str], labels: Sequence[Selector]) -> list[KnownHost]:
    """Return the hosts that are meant, and of which is known how they are."""
    matching = chosen_hosts(names, labels)
    if not matching:
        raise NoHostMatches
    current = [host for host in matching if host.is_current]
    if not current:
        raise NoCurrentHost([host.name for host in matching])
    return current


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
