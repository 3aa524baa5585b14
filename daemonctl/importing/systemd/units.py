"""Unit files of systemd: sections, options with their lines, drop-ins, quoting and specifiers."""

import platform
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from daemonctl.importing.program import text_of
from daemonctl.problems import Problem

_ESCAPES = dict(zip("abfnrtv\\\"'s", "\a\b\f\n\r\t\v\\\"' ", strict=True))
_CODES = re.compile(r"x([0-9A-Fa-f]{2})|([0-7]{3})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})")
_BLANK = " \t\n\r"


class Value(NamedTuple):
    """What is assigned to an option, and where."""

    text: str
    where: str


class Unit:
    """A service and its drop-ins."""

    def __init__(self, file: Path) -> None:
        self.full_name = file.name
        self.name, _, kind = file.name.rpartition(".")
        if kind != "service":
            raise Problem(f"{file} is not a service: only .service units have a program")
        self.prefix, at, self.instance = self.name.partition("@")
        if at and not self.instance:
            raise Problem(f"{file} is a template: name an instance of it, such as {self.prefix}@1.service")
        self._options: dict[tuple[str, str], list[Value]] = {}
        self._folders = [file.parent / f"{file.name}.d"]
        source = file
        if at:
            template = file.with_name(f"{self.prefix}@.service")
            self._folders.insert(0, file.parent / f"{template.name}.d")
            if not file.exists():
                source = template
        self.file = source
        self._read(source)
        for folder in self._folders:
            for drop_in in sorted(folder.glob("*.conf")):
                self._read(drop_in)

    def options(self, section: str) -> Iterator[str]:
        """Yield the names of the options that a section has."""
        for of, name in self._options:
            if of == section:
                yield name

    def values(self, section: str, name: str) -> list[Value]:
        """Return what is assigned to an option since it was last set back."""
        return self._options.get((section, name), [])

    def value(self, section: str, name: str, default: str = "") -> str:
        """Return the last value of an option."""
        values = self.values(section, name)
        return values[-1].text if values else default

    def where(self, section: str, name: str) -> str:
        """Return the file and line of an option, or the file."""
        values = self.values(section, name)
        return values[-1].where if values else str(self.file)

    def is_on(self, section: str, name: str, default: bool) -> bool:
        """Return a boolean option."""
        text = self.value(section, name).lower()
        if not text:
            return default
        if text in ("1", "yes", "y", "true", "t", "on"):
            return True
        if text in ("0", "no", "n", "false", "f", "off"):
            return False
        raise Problem(f"{self.where(section, name)}: {name} is neither yes nor no: '{text}'")

    def _read(self, file: Path) -> None:
        section = ""
        for number, line in _logical_lines(text_of(file)):
            where = f"{file}:{number}"
            if line.startswith("["):
                if not line.endswith("]"):
                    raise Problem(f"{where}: this is no [Section]")
                section = line[1:-1]
                continue
            name, equals, text = line.partition("=")
            if not equals or not section:
                raise Problem(f"{where}: this is not OPTION=VALUE within a [Section]")
            values = self._options.setdefault((section, name.rstrip()), [])
            if text.strip():
                values.append(Value(text.strip(), where))
            else:
                values.clear()


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines with their numbers, those that end in a backslash together with the next."""
    begun, first = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip()[:1] in ("#", ";") or (not begun and not line.strip()):
            continue
        first = first or number
        if line.endswith("\\"):
            begun += f"{line[:-1]} "
            continue
        yield first, (begun + line).strip()
        begun, first = "", 0
    if begun:
        yield first, begun.strip()


class Specifiers:
    """What `%n` and the like stand for in a unit."""

    def __init__(self, unit: Unit, manager: str, home: str) -> None:
        node = platform.node()
        prefix = _unescaped(unit.prefix)
        self._values = {
            "n": unit.full_name,
            "N": unit.name,
            "p": unit.prefix,
            "P": prefix,
            "i": unit.instance,
            "I": _unescaped(unit.instance),
            "j": unit.prefix.rpartition("-")[2],
            "J": _unescaped(unit.prefix.rpartition("-")[2]),
            "f": "/" + _unescaped(unit.instance or unit.prefix).lstrip("/"),
            "h": home,
            "u": manager,
            "H": node,
            "l": node.partition(".")[0],
            "t": "/run",
            "S": "/var/lib",
            "C": "/var/cache",
            "L": "/var/log",
            "E": "/etc",
            "T": "/tmp",  # noqa: S108
            "V": "/var/tmp",  # noqa: S108
            "%": "%",
        }

    def fill(self, value: Value) -> str:
        """Return the text of an option; raise Problem for a specifier that is not known here."""

        def of(found: re.Match[str]) -> str:
            if found[1] not in self._values:
                raise Problem(f"{value.where}: what %{found[1]} stands for is known to systemd only")
            return self._values[found[1]]

        return re.sub(r"%(.)", of, value.text)


def _unescaped(text: str) -> str:
    """Return what a name of a unit stands for: `-` for `/`, and `\\x2d` for `-`."""
    return re.sub(r"\\x([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), text.replace("-", "/"))


def words(value: Value) -> list[str]:
    """Return the words of a text, unquoted and unescaped by systemd's rules."""
    found: list[str] = []
    word, quote, position, text = None, "", 0, value.text
    while position < len(text):
        sign = text[position]
        position += 1
        if sign == "\\" and position < len(text):
            piece, position = _escape(text, position)
            word = (word or "") + piece
        elif quote:
            if sign == quote:
                quote = ""
            else:
                word = (word or "") + sign
        elif sign in "\"'":
            quote, word = sign, word or ""
        elif sign in _BLANK:
            if word is not None:
                found.append(word)
            word = None
        else:
            word = (word or "") + sign
    if quote:
        raise Problem(f"{value.where}: a quote is not closed: {text}")
    return found if word is None else [*found, word]


def _escape(text: str, position: int) -> tuple[str, int]:
    """Return what an escape after its backslash stands for, and the position after it."""
    if text[position] in _ESCAPES:
        return _ESCAPES[text[position]], position + 1
    if code := _CODES.match(text, position):
        digits = code[1] or code[3] or code[4]
        return chr(int(digits, 16) if digits else int(code[2], 8)), code.end()
    return f"\\{text[position]}", position + 1
