"""What a contender is: a daemon that runs the programs, and sides, the ways in which its users talk to it."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from daemon_programs.supervisor.processes.tree import children
from tests.bench.processes import family, wait


class CannotDo(Exception):
    """The side has nothing that does this."""


class Request(NamedTuple):
    """A request for the load generator, and the address that it is sent to."""

    address: str | tuple[str, int]
    text: bytes


class Daemon:
    """Runs programs that do nothing, as many as the size says, and those that are added."""

    name: str
    sides: list["Side"]
    size = 0

    @property
    def pid(self) -> int:
        raise NotImplementedError

    def set_up(self, size: int) -> None:
        """Start it, and give it its programs, which from now on run whenever it does."""
        raise NotImplementedError

    def boot(self) -> None:
        """Start it again, until all programs run and it answers."""
        raise NotImplementedError

    def stop(self) -> None:
        """Stop it in its orderly way, until it and all programs are gone."""
        raise NotImplementedError

    def end(self) -> None:
        """End it and its programs in any way, whatever state it is in."""
        raise NotImplementedError

    def restore(self) -> None:
        """Make it usable after a failure."""
        self.end()
        self.boot()

    def children(self) -> set[int]:
        return set(children(self.pid))

    def family(self) -> set[int]:
        """Its own processes, without the programs."""
        return family(self.pid)


class Side:
    """Use a daemon in one way. What it overrides it can do; the rest it has no rows for.

    An operation has only the steps that its user needs: the others are measured at their best.
    """

    name: str
    daemon: Daemon

    def add_and_start(self, program: str) -> None:
        """Start a program. The process may appear later; the benchmark waits for it."""
        raise CannotDo

    def list_with_status(self) -> int:
        """List the programs, and return their number."""
        raise CannotDo

    def list_with_stats(self) -> int:
        """List the programs with CPU and memory of their process trees, and return their number."""
        raise CannotDo

    def status_of_all(self) -> int:
        raise CannotDo

    def status_of_one(self, program: str) -> None:
        raise CannotDo

    def restart(self, program: str) -> None:
        raise CannotDo

    def stop_and_remove(self, program: str) -> None:
        raise CannotDo

    def events(self, program: str) -> contextlib.AbstractContextManager[Callable[[], None]]:
        """Listen to events; yield a function that waits for the one of the program's end."""
        raise CannotDo

    def run_to_its_end(self) -> None:
        """Run ``true``, and return with its outcome."""
        raise CannotDo

    def quick_start(self) -> str:
        """Run a command once; return what `quick_stop` needs."""
        raise CannotDo

    def quick_stop(self, which: str) -> None:
        raise CannotDo

    def request_for_one(self, program: str) -> Request:
        raise CannotDo

    def request_for_all(self) -> Request:
        raise CannotDo

    def prepare(self) -> None:
        """Connect again: the connection may have been closed while others had their turn."""

    def settle(self) -> None:
        """Wait for work that continues after an operation, so that it can't disturb the next contender's."""

    def can(self, verb: str) -> bool:
        return getattr(type(self), verb) is not getattr(Side, verb)


@contextlib.contextmanager
def new_process(daemon: Daemon) -> Iterator[Callable[[], set[int]]]:
    """Wait at the end until the daemon has another child; yield a function that returns it."""
    before = daemon.children()
    yield lambda: daemon.children() - before
    wait(lambda: daemon.children() - before, "a process appears")


@contextlib.contextmanager
def one_process_less(daemon: Daemon) -> Iterator[None]:
    """Wait at the end until a child of the daemon has gone."""
    before = daemon.children()
    yield
    wait(lambda: daemon.children() < before, "the process is gone")


def idle_names(size: int) -> list[str]:
    """The names of the programs that only run."""
    return [f"idle-{number}" for number in range(size)]


def log_files(folder: Path, program: str) -> tuple[Path, Path]:
    """Where both outputs of a program go."""
    return folder / f"{program}.out", folder / f"{program}.err"
