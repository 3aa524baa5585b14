"""The options of a service, with specifiers filled in, as texts, numbers, times and commands."""

from collections.abc import Callable

from daemonctl.importing.systemd import durations
from daemonctl.importing.systemd.executions import Execution, executions
from daemonctl.importing.systemd.units import Specifiers, Unit, Value, words
from daemonctl.problems import Problem

_SERVICE = "Service"


class Options:
    """Reads the options of a unit, of `[Service]` if no other section is named."""

    def __init__(self, unit: Unit, specifiers: Specifiers) -> None:
        self.unit = unit
        self._specifiers = specifiers

    def values(self, option: str, section: str = _SERVICE) -> list[Value]:
        """Return what is assigned to an option, with specifiers."""
        return self.unit.values(section, option)

    def where(self, option: str, section: str = _SERVICE) -> str:
        """Return the file and line of an option."""
        return self.unit.where(section, option)

    def fill(self, value: Value) -> str:
        """Return a text with its specifiers filled in."""
        return self._specifiers.fill(value)

    def text(self, option: str, default: str = "", section: str = _SERVICE) -> str:
        """Return the last value of an option."""
        values = self.values(option, section)
        return self.fill(values[-1]) if values else default

    def texts(self, option: str, section: str = _SERVICE) -> list[str]:
        """Return all values of an option."""
        return [self.fill(value) for value in self.values(option, section)]

    def one_of(self, option: str, choices: tuple[str, ...], default: str) -> str:
        """Return a value that must be one of some words; raise Problem."""
        word = self.text(option, default)
        if word not in choices:
            raise Problem(f"{self.where(option)}: {option} is not one of {', '.join(choices)}: '{word}'")
        return word

    def seconds(self, option: str, default: float, section: str = _SERVICE) -> float:
        """Return a time."""
        if not self.values(option, section):
            return default
        return self.converted(option, durations.seconds, section=section)

    def integer(self, option: str, section: str = _SERVICE) -> int:
        """Return a number."""
        return int(self.converted(option, int, section=section))

    def converted(
        self,
        option: str,
        convert: Callable[[str], float],
        text: str | None = None,
        *,
        section: str = _SERVICE,
    ) -> float:
        """Return what a text is converted to, that of the option or a part of it; raise Problem."""
        text = self.text(option, section=section) if text is None else text
        try:
            return convert(text)
        except ValueError:
            raise Problem(f"{self.where(option, section)}: {option} can't be read: '{text}'") from None

    def executions(self, option: str) -> list[Execution]:
        """Return the commands of an option."""
        return [each for value in self.values(option) for each in executions(value, self.fill)]

    def environment(self) -> dict[str, str]:
        """Return the variables of `Environment`; raise Problem for a word that is none."""
        variables = {}
        for value in self.values("Environment"):
            for word in words(value):
                name, equals, text = self.fill(Value(word, value.where)).partition("=")
                if not equals:
                    raise Problem(f"{value.where}: Environment has a word that is not NAME=value: '{word}'")
                variables[name] = text
        return variables
