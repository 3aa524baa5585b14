"""What ends a command, each with its exit code.

Problem                 a sentence on standard error
├─ Refused           1  the API refused it: the API's own sentence
├─ Absent            3  something named does not exist or does not run
└─ Unreachable       4  the daemon can't be reached
   └─ Lost           4  the connection was lost after a request was sent: it may have arrived
"""

from typing import IO, Any

import click


class Problem(click.ClickException):
    """Anything that ends a command with one sentence."""

    exit_code = 1

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the sentence and nothing else."""
        click.echo(self.message, err=True)


class Refused(Problem):
    """The API refused a request, with an HTTP status; ``details`` is the whole answer."""

    status = 400

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.details: dict[str, Any] = {}


class Absent(Problem):
    """A program that was named does not exist, or does not run."""

    exit_code = 3


class Unreachable(Problem):
    """The daemon can't be reached."""

    exit_code = 4


class Lost(Unreachable):
    """The connection was lost after a request was sent, which may have arrived or not."""
