"""Commands of systemd's units: their prefixes and variables, as a command line."""

import re
import shlex
from collections.abc import Callable
from typing import NamedTuple

from daemonctl.importing.commands import command_line
from daemonctl.importing.systemd.units import Value, words
from daemonctl.problems import Problem

_PREFIXES = "-@:+!|"
# `${NAME}` anywhere in a word, `$NAME` as a whole word, and `$$`.
_VARIABLE = re.compile(r"\$(?:\$|\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)\}|(?P<bare>[A-Za-z_][A-Za-z0-9_]*))")
_WHOLE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")


class Execution(NamedTuple):
    """A command of a unit: its words as they are written, and its prefixes."""

    words: list[str]
    prefixes: str
    where: str

    @property
    def may_fail(self) -> bool:
        """Whether its failure counts as a success."""
        return "-" in self.prefixes

    @property
    def is_privileged(self) -> bool:
        """Whether it runs with other rights than the user's."""
        return "+" in self.prefixes or "!" in self.prefixes

    @property
    def signal_to_main(self) -> str | None:
        """The signal that it sends to the program's process, if that is all it does: `kill -HUP $MAINPID`."""
        given = self.words
        if not given or given[0].rpartition("/")[2] != "kill" or given[-1] not in ("$MAINPID", "${MAINPID}"):
            return None
        if len(given) == 3 and given[1].startswith("-") and given[1] != "-s":
            return given[1].removeprefix("-").removeprefix("SIG")
        if len(given) == 4 and given[1] in ("-s", "--signal"):
            return given[2].removeprefix("SIG")
        return "TERM" if len(given) == 2 else None

    def arguments(self, environment: dict[str, str]) -> list[str]:
        """Return the arguments, with the variables that are known before the start."""
        given = self._without_own_name()
        if ":" in self.prefixes:
            return given
        found = given[:1]
        for word in given[1:]:
            if whole := _WHOLE.fullmatch(word):
                found += _split(environment.get(whole[1], ""))
            else:
                found.append(_VARIABLE.sub(lambda each: _value(each, environment), word))
        return found

    def line(self, environment: dict[str, str], *, is_known: bool) -> str:
        """Return the command line; a shell fills in variables that are known only when it starts.

        The shell becomes the command, so the arguments are the same.
        """
        name = self.words[1] if "@" in self.prefixes else None
        if is_known or not self.variables:
            arguments = self.arguments(environment)
            if name is None:
                return command_line(arguments)
            return command_line(["bash", "-c", f"exec -a {shlex.quote(name)} {shlex.join(arguments)}"])
        given = self._without_own_name()
        script = " ".join([shlex.quote(given[0]), *map(_in_shell, given[1:])])
        if name is not None:
            return command_line(["bash", "-c", f"set -f; exec -a {shlex.quote(name)} {script}"])
        return command_line(["sh", "-c", f"set -f; exec {script}"])

    @property
    def variables(self) -> set[str]:
        """The variables in its arguments."""
        if ":" in self.prefixes:
            return set()
        found = (each for word in self.words[1:] for each in _VARIABLE.finditer(word))
        return {each["braced"] or each["bare"] for each in found if each["braced"] or each["bare"]}

    def _without_own_name(self) -> list[str]:
        """Return the words without the name that `@` has the process called by."""
        return [self.words[0], *self.words[2:]] if "@" in self.prefixes else self.words


def executions(value: Value, fill: Callable[[Value], str]) -> list[Execution]:
    """Return the commands of an option: one, or several with `;` between."""
    found: list[list[str]] = []
    current: list[str] = []
    # Word by word: what a specifier stands for is not split.
    for word in _raw_words(value):
        if word == ";" and current:
            found.append(current)
            current = []
        else:
            current.append(";" if word == "\\;" else fill(Value(word, value.where)))
    result = []
    for each in [*found, current]:
        if not each:
            continue
        bare = each[0].lstrip(_PREFIXES)
        prefixes = each[0][: len(each[0]) - len(bare)]
        if not bare or ("@" in prefixes and len(each) < 2):
            raise Problem(f"{value.where}: there is no command after '{each[0]}'")
        result.append(Execution([bare, *each[1:]], prefixes, value.where))
    return result


def _raw_words(value: Value) -> list[str]:
    """Return the words, with an escaped semicolon as it is written: a bare one separates commands."""
    return words(Value(re.sub(r"(?<!\S)\\;(?!\S)", r"\\\\;", value.text), value.where))


def _split(text: str) -> list[str]:
    """Return the words of a variable that stands alone."""
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _value(found: re.Match[str], environment: dict[str, str]) -> str:
    if found["braced"]:
        return environment.get(found["braced"], "")
    return found[0] if found["bare"] else "$"


def _in_shell(word: str) -> str:
    """Return a word as a shell has to have it, to make the same of its variables as systemd."""
    if whole := _WHOLE.fullmatch(word):
        return f"${whole[1]}"
    pieces, position = [], 0
    for found in _VARIABLE.finditer(word):
        pieces.append(_literal(word[position : found.start()]))
        position = found.end()
        pieces.append(f"${{{found['braced']}}}" if found["braced"] else _literal(_value(found, {})))
    pieces.append(_literal(word[position:]))
    return f'"{"".join(pieces)}"' if _VARIABLE.search(word) else shlex.quote(word)


def _literal(text: str) -> str:
    """Return a text as it stands in double quotes of a shell."""
    return re.sub(r'([\\"$`])', r"\\\1", text)
