"""The commands of ``before_start`` as a program's file lists them."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Step(NamedTuple):
    """One of the commands."""

    number: int
    argv: list[str]
    seconds: int  # that it may take

    def how(self, problem: str) -> str:
        """Return how it failed, as a sentence that names it by its number and its program."""
        return f"command {self.number} of before_start ({self.argv[0]}) {problem}"


def read(commands: list[dict[str, Any]], of_key: Callable[[str], str]) -> list[Step]:
    """Return the steps; ``of_key`` replaces the placeholder of the key in an argument."""
    return [
        Step(number, [of_key(argument) for argument in each["argv"]], each["timeout"])
        for number, each in enumerate(commands, start=1)
    ]


def check_types(commands: list[dict[str, Any]]) -> None:
    """Raise ValueError, KeyError or TypeError for values of the wrong types."""
    for each in commands:
        if not each["argv"] or not all(type(argument) is str for argument in each["argv"]):
            raise ValueError("before_start has arguments that are no text")
        if type(each["timeout"]) is not int:
            raise ValueError("before_start has a timeout that is no integer")
