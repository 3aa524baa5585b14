"""The options of a section of supervisord.conf, for one process after the other."""

import os
from collections.abc import Callable, Mapping
from typing import Any

from daemonctl.importing.commands import MARKS, has_variables
from daemonctl.importing.supervisord.ini import Configuration, Option, expand
from daemonctl.problems import Problem

_TRUE, _FALSE = ("yes", "true", "on", "1"), ("no", "false", "off", "0")
_UNITS = {"kb": 1024, "mb": 1024**2, "gb": 1024**3}

Expansions = dict[str, str | int]


class Values:
    """The options of a section, for one process after the other."""

    def __init__(
        self, configuration: Configuration, section: str, expansions: Mapping[str, str | int]
    ) -> None:
        self.section = section
        self.where = configuration.where(section)
        self.expansions: Expansions = {}
        self._configuration = configuration
        self._shared = dict(expansions)
        self.set_process(0, 1)
        # They are the same for all processes, so supervisord does not expand these numbers in them.

    def set_process(self, number: int, count: int) -> None:
        """Begin another process."""
        self.expansions = {**self._shared, "process_num": number, "numprocs": count}

    def option(self, name: str) -> Option | None:
        """Return an option as it is written."""
        return self._configuration.option(self.section, name)

    def where_of(self, name: str) -> str:
        """Return the file and line of an option, or of the section."""
        option = self.option(name)
        return option.where if option else self.where

    def raw(self, name: str, default: str) -> str:
        """Return the text of an option without expansions."""
        option = self.option(name)
        return option.text if option else default

    def expanded(self, name: str, default: str, number: int, count: int) -> str:
        """Return the text of an option for a process."""
        self.set_process(number, count)
        return self.text(name, default)

    def text(self, name: str, default: str) -> str:
        """Return the text of an option."""
        return expand(self.option(name) or Option(default, self.where), self.expansions)

    def integer(self, name: str, default: int) -> int:
        """Return a number."""
        return self._as(int, "a number", name, str(default))

    def boolean(self, name: str, default: bool) -> bool:
        """Return whether an option is on."""
        return self._as(boolean_of, "true or false", name, str(default))

    def size(self, name: str, default: int) -> int:
        """Return a number of bytes."""
        return self._as(_bytes, "a size such as 50MB", name, str(default))

    def _as(self, convert: Callable[[str], Any], what: str, name: str, default: str) -> Any:
        text = self.text(name, default)
        if has_variables(text):
            for key, value in os.environ.items():
                text = text.replace(_mark(key), value)
        try:
            return convert(text)
        except ValueError:
            raise Problem(f"{self.where_of(name)}: {name} is not {what}: '{text.strip(MARKS)}'") from None


def _mark(name: str) -> str:
    return f"{MARKS[0]}{name}{MARKS[1]}"


def boolean_of(text: str) -> bool:
    """Return what a word says; raise ValueError if it is neither true nor false."""
    if text.lower() not in _TRUE + _FALSE:
        raise ValueError(text)
    return text.lower() in _TRUE


def _bytes(text: str) -> int:
    unit = _UNITS.get(text[-2:].lower())
    return int(text[:-2]) * unit if unit else int(text)
