"""Configuration files of supervisord: their options, each with the file and line that it comes from."""

import configparser
import glob
import os
import platform
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from daemonctl.importing.commands import variable
from daemonctl.importing.program import text_of
from daemonctl.problems import Problem

_DEFAULT = "DEFAULT"


class Option(NamedTuple):
    """The text of an option, and where it is."""

    text: str
    where: str


class Configuration:
    """What a file and those that it includes say."""

    def __init__(self, file: Path) -> None:
        self.folder = str(file.absolute().parent)
        self.sections: dict[str, dict[str, Option]] = {}
        self._where: dict[str, str] = {}  # of sections
        self.unmatched: list[str] = []  # patterns of files that don't exist
        self._read(file)
        if "include" in self.sections:
            self._include(file)

    def where(self, section: str) -> str:
        """Return the file and line of a section."""
        return self._where[section]

    def option(self, section: str, name: str) -> Option | None:
        """Return an option, also one that all sections have."""
        default = self.sections.get(_DEFAULT, {}).get(name)
        return self.sections.get(section, {}).get(name, default)

    def of_kind(self, kind: str) -> Iterator[tuple[str, str]]:
        """Yield the sections of a kind such as `program`, each with its name."""
        for section in self.sections:
            before, colon, name = section.partition(":")
            if colon and before == kind:
                yield section, name.strip()

    def _read(self, file: Path, here: str | None = None) -> None:
        """Add what a file says; what it says again replaces what was there."""
        text = text_of(file)
        # As supervisord reads it. What it calls [DEFAULT] is kept apart, to know where options come from.
        parser = configparser.RawConfigParser(
            inline_comment_prefixes=(";", "#"), strict=False, default_section=""
        )
        try:
            parser.read_string(text, str(file))
        except configparser.MissingSectionHeaderError as problem:
            raise Problem(f"{file}:{problem.lineno}: there is no [section] before this line") from None
        except configparser.ParsingError as problem:
            raise Problem(f"{file}:{problem.errors[0][0]}: this is not OPTION = VALUE") from None
        lines = _lines(text)
        for section in parser.sections():
            options = self.sections.setdefault(section, {})
            self._where.setdefault(section, f"{file}:{lines.get((section, ''), 1)}")
            for name, value in parser.items(section):
                where = f"{file}:{lines.get((section, name), lines.get((section, ''), 1))}"
                options[name] = Option(value if here is None else value.replace("%(here)s", here), where)

    def _include(self, file: Path) -> None:
        files = self.option("include", "files")
        if files is None:
            raise Problem(f"{self.where('include')}: [include] has no 'files'")
        for section in self.sections.values():
            for name, option in section.items():
                section[name] = Option(option.text.replace("%(here)s", self.folder), option.where)
        environment = {f"ENV_{name}": value for name, value in os.environ.items()}
        expansions = {"here": self.folder, "host_node_name": platform.node(), **environment}
        patterns = expand(Option(files.text.replace("%(here)s", self.folder), files.where), expansions)
        for pattern in patterns.split():
            found = sorted(glob.glob(os.path.join(self.folder, pattern)))  # noqa: PTH118, PTH207
            if not found:
                self.unmatched.append(pattern)
            for each in found:
                self._read(Path(each), os.path.dirname(os.path.abspath(each)))  # noqa: PTH100, PTH120


def _lines(text: str) -> dict[tuple[str, str], int]:
    """Return the numbers of the lines where options begin; a section has its own under an empty name."""
    section = ""
    found: dict[tuple[str, str], int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\[(.+)\]", line):
            section = header[1]
            found.setdefault((section, ""), number)
        elif option := re.match(r"([^\s:=;#][^:=]*?)\s*[:=]", line):
            found[section, option[1].lower()] = number
    return found


class _Expansions(dict[str, str | int]):
    """Leave the variables of who starts supervisord to who applies the file."""

    def __missing__(self, name: str) -> str:
        if not re.fullmatch("ENV_[A-Za-z_][A-Za-z0-9_]*", name):
            raise KeyError(name)
        return variable(name.removeprefix("ENV_"))


def expand(option: Option, expansions: Mapping[str, str | int]) -> str:
    """Return an option with its `%(…)s` filled in, as Python's `%` does; raise Problem if it can't be."""
    try:
        return option.text % _Expansions(expansions)
    except KeyError as problem:
        known = ", ".join(sorted(name for name in expansions if not name.startswith("ENV_")))
        raise Problem(f"{option.where}: %({problem.args[0]})s is not one of {known}, ENV_…") from None
    except (ValueError, TypeError) as problem:
        raise Problem(f"{option.where}: '{option.text}' can't be expanded: {problem}") from None
