"""A program that is exported: its fields, its command as arguments, and what is said about it."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from daemonctl.importing.program import DEFAULTS

# Variables whose value is not for every user of a host to read.
_SECRET_NAME = re.compile(r"PASS|SECRET|TOKEN|KEY|CREDENTIAL|AUTH|DSN", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"://[^/@\s]*:[^/@\s]+@")  # an address with a password
# Fields that take care of themselves: they name the program, or say how the daemon keeps it.
_WITHOUT_MEANING = ("id", "name", "command", "user", "description", "enabled", "lazy_load", "port_param")


class File(NamedTuple):
    """A file to be written."""

    name: str
    text: str
    is_secret: bool = False


@dataclass
class Exported:
    """What was made of programs: files, and notes that begin with the name of a program."""

    files: list[File] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class ExportedProgram:
    """A program whose fields are taken one after another; what is left has no counterpart."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._fields = dict(document)
        self._taken: set[str] = set()
        self.notes: list[str] = []
        self.name = str(document["name"])
        self.user = str(document["user"])
        self.description = " ".join(str(document.get("description") or self.name).split())

    def take(self, name: str, default: Any = None) -> Any:
        """Return a field, or its default; from now on it counts as written."""
        self._taken.add(name)
        value = self._fields.get(name)
        return DEFAULTS.get(name, default) if value is None else value

    def note(self, text: str) -> None:
        """Say something about the program."""
        self.notes.append(text)

    def note_the_rest(self) -> None:
        """Say which fields that are not the default were not taken."""
        left = [
            name
            for name, value in self._fields.items()
            if name not in self._taken and name not in _WITHOUT_MEANING and value != DEFAULTS.get(name)
        ]
        if left:
            self.note(f"No counterpart: {', '.join(left)}")
        if self._fields.get("enabled") is False:
            self.note("It is disabled here")

    @property
    def placeholder(self) -> str | None:
        """What stands for the key of an instance; None if the program has one process."""
        if self._fields.get("port_range"):
            return "{port}"
        return "{instance}" if self._fields.get("numprocs", 1) > 1 else None

    @property
    def keys(self) -> range:
        """The keys of its instances."""
        ports = self.take("port_range")
        return range(ports["start"], ports["end"] + 1) if ports else range(self.take("numprocs"))

    @property
    def key_variable(self) -> str:
        """The variable that has the key of an instance."""
        return "PORT" if self.placeholder == "{port}" else "INSTANCE"

    def command(self) -> list[str]:
        """Return its arguments, with the port where it goes."""
        arguments = shlex.split(self._fields["command"])
        if self.placeholder != "{port}" or any("{port}" in each for each in arguments):
            return arguments
        parameter = shlex.split(self._fields.get("port_param") or "--port")
        if parameter[-1].endswith("="):
            return [*arguments, *parameter[:-1], parameter[-1] + "{port}"]
        return [*arguments, *parameter, "{port}"]

    def environment(self) -> dict[str, str]:
        """Return its variables."""
        variables: dict[str, str] = dict(self.take("environment"))
        if display := self.take("display"):
            variables["DISPLAY"] = display if ":" in display else f":{display}"
        return variables


def is_secret(name: str, value: str) -> bool:
    """Return whether a variable looks like one that others must not read."""
    return bool(_SECRET_NAME.search(name) or _SECRET_VALUE.search(value))
