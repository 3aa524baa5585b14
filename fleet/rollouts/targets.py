"""Choose the hosts of a roll-out by name and label."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import translate

from daemon_programs.validators.labels import Selector
from fleet.exceptions import HostNotFound
from fleet.models import Host

_GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class Targets:
    """What hosts are chosen by: any of the names (or globs), and all of the labels; all hosts without."""

    names: Sequence[str] = ()
    labels: Sequence[Selector] = ()

    def hosts(self) -> list[Host]:
        """Return the hosts, by name. Raise HostNotFound for a name, not a glob, that no host has."""
        everything = list(Host.objects.order_by("name"))
        known = {host.name for host in everything}
        for name in self.names:
            if name not in known and not _GLOB.search(name):
                raise HostNotFound(name)
        patterns = [re.compile(translate(name)) for name in self.names]
        return [
            host
            for host in everything
            if (not patterns or any(pattern.fullmatch(host.name) for pattern in patterns))
            and all(label.selects(host.labels) for label in self.labels)
        ]
