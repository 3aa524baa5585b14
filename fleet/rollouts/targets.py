"""The hosts of a roll-out."""

from collections.abc import Sequence
from dataclasses import dataclass

from daemon_programs.validators.labels import Selector
from fleet.models import Host
from fleet.reading.hosts import choose


@dataclass(frozen=True)
class Targets:
    """What hosts are chosen by: any of the names (or globs), and all of the labels; all hosts without."""

    names: Sequence[str] = ()
    labels: Sequence[Selector] = ()

    def hosts(self) -> list[Host]:
        """Return the hosts, by name. Raise HostNotFound for a name, not a glob, that no host has."""
        return choose(Host.objects.order_by("name"), self.names, self.labels)
