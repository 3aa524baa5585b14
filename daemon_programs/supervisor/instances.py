"""What tells the instances of a program apart. Does not import Django.

A program has one process, one for each port of a range, or a number of equal ones (``numprocs``). The port or
the number is the *key* of an instance.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class KeyKind:
    """What the keys of a program are, and what they are called."""

    name: str  # in requests, responses and events
    placeholder: str  # in commands, paths and probes
    variable: str  # in the environment of the instance
    prefix: str  # in supervisord's name of the process, before the key
    programs: str  # such programs in sentences, and the type of their status
    what: str  # what other programs lack, in sentences

    @property
    def title(self) -> str:
        """Return its name as the first word of a sentence."""
        return self.name.capitalize()


PORT = KeyKind("port", "{port}", "PORT", "", "port-range", "port range")
NUMBER = KeyKind("instance", "{instance}", "INSTANCE", "_", "numprocs", "numbered instances")
KINDS = (PORT, NUMBER)


class Key(NamedTuple):
    """The key of an instance."""

    kind: KeyKind
    value: int

    @property
    def process(self) -> str:
        """Return supervisord's name of the instance."""
        return f"{self.kind.prefix}{self.value}"

    def fill(self, text: str) -> str:
        """Return a text with the key in the place of the placeholder."""
        return text.replace(self.kind.placeholder, str(self.value))


FIRST_NUMBER = Key(NUMBER, 0)


@dataclass(frozen=True)
class Keys:
    """The keys of a program, in order."""

    kind: KeyKind
    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first + 1

    def __iter__(self) -> Iterator[Key]:
        return (Key(self.kind, value) for value in range(self.first, self.last + 1))

    def __contains__(self, key: Key) -> bool:
        return key.kind is self.kind and self.first <= key.value <= self.last


def keys_of(ports: tuple[int, int] | None, numprocs: int) -> Keys | None:
    """Return the keys of a program with this range of ports or this number of processes; None for one."""
    if ports is not None:
        return Keys(PORT, *ports)
    return Keys(NUMBER, 0, numprocs - 1) if numprocs > 1 else None


def key_of(process: str) -> Key | None:
    """Return the key of the instance that supervisord calls so; None for the only process of a program."""
    if process.isdecimal():
        return Key(PORT, int(process))
    number = process.removeprefix(NUMBER.prefix)
    return Key(NUMBER, int(number)) if number.isdecimal() else None
