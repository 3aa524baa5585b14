"""The hosts that a request is about, and how old what is known of each of them is."""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from fnmatch import translate
from typing import Any, NamedTuple, Protocol, TypeVar

from django.db.models.functions import Now

from daemon_programs.programs.selection import is_glob
from daemon_programs.text import printable
from daemon_programs.timestamps import milliseconds
from daemon_programs.validators.labels import Selector
from fleet.exceptions import HostNotFound
from fleet.models import Host, Link

# A host that is followed tells something every 15 seconds.
_FOLLOWED_WITHIN = timedelta(seconds=60)
_NOT_FOLLOWED = "No process of the hub follows it at the moment"
_COLUMNS = (
    *("pk", "name", "labels", "link__state", "link__since", "link__heard_at", "link__version"),
    *("link__error", "link__machine"),
)


class Choosable(Protocol):
    """A host, however much of it was read."""

    @property
    def name(self) -> str: ...

    @property
    def labels(self) -> dict[str, str]: ...


_Host = TypeVar("_Host", bound=Choosable)


class KnownHost(NamedTuple):
    """A host with what is known of the link to it."""

    id: int
    name: str
    labels: dict[str, str]
    state: str
    since: datetime | None
    heard_at: datetime | None
    version: str
    error: str
    machine: dict[str, Any]
    age_seconds: float | None

    @property
    def is_current(self) -> bool:
        """Return whether what is known of it is true now."""
        return self.state == Link.State.CURRENT

    @property
    def freshness(self) -> dict[str, Any]:
        """Return how old what is known of it is, as every answer about hosts tells it."""
        return {
            "name": self.name,
            "state": self.state,
            "heard_at": milliseconds(self.heard_at) if self.heard_at else None,
            "age_seconds": self.age_seconds,
            **({"error": self.error} if self.error and not self.is_current else {}),
        }


def all_hosts() -> list[KnownHost]:
    """Return all hosts in the order of their names, with one query."""
    # The database's clock has written the times: those of hubs may differ.
    hosts = [_known(*row) for row in Host.objects.order_by().values_list(Now(), *_COLUMNS)]
    return sorted(hosts, key=lambda host: host.name)


def chosen_hosts(names: Sequence[str] = (), labels: Sequence[Selector] = ()) -> list[KnownHost]:
    """Return the hosts that have one of the names, which may be globs, and all of the labels.

    Raise HostNotFound for a name that is none.
    """
    return choose(all_hosts(), names, labels)


def choose(hosts: Collection[_Host], names: Sequence[str], labels: Sequence[Selector]) -> list[_Host]:
    """Return those of all hosts that `chosen_hosts` would return."""
    known = {host.name for host in hosts}
    for name in names:
        if name not in known and not is_glob(name):
            raise HostNotFound(printable(name))
    return list(filter(chooser(names, labels), hosts))


def chooser(names: Sequence[str], labels: Sequence[Selector]) -> Callable[[Choosable], bool]:
    """Return the function that says whether a host has one of the names, and all of the labels."""
    exact = frozenset(names)
    globs = [re.compile(translate(name)).match for name in exact if is_glob(name)]

    def is_chosen(host: Choosable) -> bool:
        is_named = not names or host.name in exact or any(matches(host.name) for matches in globs)
        return is_named and all(selector.selects(host.labels) for selector in labels)

    return is_chosen


def freshness_of(hosts: Iterable[KnownHost], shown: Iterable[int]) -> list[dict[str, Any]]:
    """Return how old an answer is: of the hosts whose ids are shown, and of all that are not current."""
    ids = frozenset(shown)
    return [host.freshness for host in hosts if host.id in ids or not host.is_current]


def _known(now: datetime, *row: Any) -> KnownHost:
    id, name, labels, state, since, heard_at, version, error, machine = row
    # A clock may have been set back.
    heard_at = min(heard_at, now) if heard_at else None
    age = None if heard_at is None else round((now - heard_at).total_seconds(), 1)
    if state == Link.State.CURRENT and (heard_at is None or now - heard_at > _FOLLOWED_WITHIN):
        # No follower is left that could have written that it is lost.
        state, since, error = Link.State.LOST, heard_at, _NOT_FOLLOWED
    return KnownHost(
        *(id, name, labels, str(state or Link.State.NEW), since, heard_at),
        *(version or "", error or "", machine or {}, age),
    )
