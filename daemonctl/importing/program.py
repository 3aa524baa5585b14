"""Programs as they are imported: their fields, and notes about what is different from now on."""

import getpass
import math
import pwd
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from daemonctl.problems import Problem

# What the API accepts, and what it takes for granted. A test compares both with the daemon's own.
RANGES = {
    "start_seconds": (0, 3600),
    "start_retries": (0, 10000),
    "stop_grace_seconds": (0, 300),
    "restart_delay_seconds": (0, 3600),
    "restart_delay_max_seconds": (1, 86400),
    "stable_seconds": (1, 86400),
    "restart_limit": (1, 10000),
    "max_runtime_seconds": (1, 31_536_000),
    "memory_limit_bytes": (1024 * 1024, 2**53 - 1),
    "priority": (1, 999),
    "nice": (-20, 19),
    "numprocs": (1, 1000),
    "log_max_bytes": (0, 2**53 - 1),
    "log_backups": (0, 100),
}
DEFAULTS: dict[str, Any] = {
    "description": "",
    "boot": False,
    "autorestart": "unexpected",
    "stop_grace_seconds": 10,
    "stop_signal": "TERM",
    "stop_scope": "main",
    "start_seconds": 1,
    "start_retries": 3,
    "restart_delay_seconds": 1,
    "restart_delay_max_seconds": 60,
    "stable_seconds": 60,
    "restart_limit": None,
    "exit_codes": [0],
    "max_runtime_seconds": None,
    "priority": 999,
    "environment": {},
    "env_file": None,
    "umask": "022",
    "nice": 0,
    "limits": {},
    "logs_enabled": True,
    "log_max_bytes": 5 * 1024 * 1024,
    "log_backups": 2,
    "redirect_stderr": False,
    "log_timestamps": False,
    "numprocs": 1,
    "before_start": [],
    "memory_limit_bytes": None,
    "depends_on": None,
    "labels": {},
}
# Variables that the daemon sets itself.
_RESERVED = frozenset(
    f"SUPERVISOR_{name}" for name in ("ENABLED", "SERVER_URL", "GROUP_NAME", "PROCESS_NAME")
)
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
STOP_SIGNALS = ("TERM", "HUP", "INT", "QUIT", "USR1", "USR2", "KILL")
_ORDER = (
    "name",
    "description",
    "command",
    "user",
    "directory",
    "environment",
    "env_file",
    "labels",
    "boot",
    "numprocs",
)


class Note(NamedTuple):
    """A sentence about a field, or about the whole program."""

    text: str
    field: str | None = None


@dataclass
class ImportedProgram:
    """A program: fields as `POST programs/add` takes them."""

    fields: dict[str, Any] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.fields["name"])

    def note(self, text: str, field: str | None = None) -> None:
        """Say what has no counterpart, or what a field means from now on. Nothing is said twice."""
        if Note(text, field) not in self.notes:
            self.notes.append(Note(text, field))

    def set_number(self, field: str, value: float, source: str) -> None:
        """Set a field to a number that may have to be rounded up, or is out of the range of the field."""
        low, high = RANGES[field]
        number = high if math.isinf(value) else math.ceil(value)
        used = min(max(number, low), high)
        if used != value:
            self.note(f"{source}: {used} is the nearest that is possible", field)
        self.fields[field] = used

    def set_environment(self, variables: Mapping[str, str]) -> None:
        """Set the variables, but for those that a program can't have."""
        taken = {
            name: text
            for name, text in variables.items()
            if _VARIABLE_NAME.fullmatch(name) and name not in _RESERVED
        }
        for name in variables:
            if name not in taken:
                self.note(f"{name} can't be set, and is left out", "environment")
        self.fields["environment"] = taken

    def set_user(self, user: str) -> None:
        """Set the user, who may be given by number."""
        self.fields["user"] = user
        if user.isdecimal():
            try:
                self.fields["user"] = pwd.getpwuid(int(user)).pw_name
            except (KeyError, OverflowError):
                self.note(f"There is no user with the number {user} on this host", "user")

    def set_stop_signal(self, name: str, source: str) -> None:
        """Set the first signal of a stop, if there can be such a one."""
        word = name.upper().removeprefix("SIG")
        if word in STOP_SIGNALS:
            self.fields["stop_signal"] = word
        else:
            self.note(f"{source}: not one of {', '.join(STOP_SIGNALS)}; it is TERM", "stop_signal")

    def set_label(self, key: str, value: str) -> None:
        """Add a label, with what its value can't have replaced by `-`."""
        word = "".join(
            sign if sign.isascii() and (sign.isalnum() or sign in "._-") else "-" for sign in value
        )
        self.fields.setdefault("labels", {})[key] = word.strip("._-")[:63].strip("._-")
        if self.fields["labels"][key] != value:
            self.note(f"{key} '{value}' is written as labels can be", "labels")

    def lacks(self, *options: str) -> None:
        """Say which options of the file have no counterpart."""
        if options:
            self.note(f"No counterpart: {', '.join(options)}")

    def in_order(self) -> dict[str, Any]:
        """Return its fields, the most important first, without those that have their default."""
        keys = [key for key in _ORDER if key in self.fields]
        keys += [key for key in self.fields if key not in keys]
        return {key: self.fields[key] for key in keys if self.fields[key] != DEFAULTS.get(key, ...)}


@dataclass
class Imported:
    """What files say: programs, and notes about all of them."""

    programs: list[ImportedProgram] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Say something about all programs, once."""
        if text not in self.notes:
            self.notes.append(text)

    def add(self, program: ImportedProgram, where: str) -> None:
        """Add a program; raise Problem if there is one of its name."""
        if any(each.name == program.name for each in self.programs):
            raise Problem(f"{where}: there are two programs named '{program.name}'")
        self.programs.append(program)


class Wishes(NamedTuple):
    """What the caller has asked for."""

    user: str | None = None  # of programs for which the file names none
    environment: str | None = None  # of several in a file, the one to use (pm2)

    @property
    def default_user(self) -> str:
        """The user of programs for which the file names none."""
        return self.user or getpass.getuser()


def text_of(file: Path) -> str:
    """Return the content of a file; raise Problem if it can't be read."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise Problem(f"{file} is not text in UTF-8") from None
    except OSError as problem:
        raise Problem(f"{file} can't be read: {problem.strerror or problem}") from None


def only(files: Sequence[Path], what: str) -> Path:
    """Return the one file that a format takes; raise Problem if there are several."""
    if len(files) != 1:
        raise Problem(f"{what} is imported by itself: name one file")
    return files[0]
