"""All contenders with the same number of programs: who takes part, and what has failed."""

import time
from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

from tests.bench.processes import cpu_seconds, memory
from tests.bench.results import Key, Results
from tests.bench.rows import ADD, BETWEEN, REMOVE, STATS
from tests.bench.sides.side import Daemon, Side

ROUNDS = 15  # unless others are asked for
_SETTLE_SECONDS = 3.0

Each = TypeVar("Each")
Say = Callable[[str], None]


class Arena:
    def __init__(
        self,
        size: int,
        daemons: Sequence[Daemon],
        names: Collection[str],
        rows: Collection[str],
        results: Results,
        say: Say,
        *,
        idle_seconds: float = 30,
        load_seconds: float = 4,
    ) -> None:
        self.size = size
        self.daemons = list(daemons)
        self.names = names
        self.rows = rows
        self.results = results
        self._say = say
        self.idle_seconds, self.load_seconds = idle_seconds, load_seconds

    @property
    def sides(self) -> list[Side]:
        """The sides that take part: those of daemons that can't be used any more don't."""
        return [side for daemon in self.daemons for side in daemon.sides if side.name in self.names]

    def say(self, what: str) -> None:
        self._say(f"{self.size} programs: {what}")

    def add(self, key: str, contender: Daemon | Side, value: float) -> None:
        self.results.add(Key(key, contender.name, self.size), value)

    def attempt(
        self, key: str, contender: Daemon | Side, action: Callable[[], Each], *, restores: bool = True
    ) -> Each | None:
        """Return what the action returns. If it fails, note that, and make the daemon usable again."""
        try:
            return action()
        except Exception as problem:
            daemon = contender if isinstance(contender, Daemon) else contender.daemon
            reason = f"{type(problem).__name__}: {problem}".strip()
            self.say(f"{contender.name} has failed in {key}: {reason}")
            self.results.fail(Key(key, contender.name, self.size), reason)
            if restores:
                self._restore(daemon)
            return None

    def has_failed(self, key: str, contender: Daemon | Side) -> bool:
        return Key(key, contender.name, self.size) in self.results.failures

    def _restore(self, daemon: Daemon) -> None:
        try:
            daemon.restore()
        except Exception as problem:
            self.lose(daemon, f"{type(problem).__name__}: {problem}")

    def lose(self, daemon: Daemon, reason: str) -> None:
        """Go on without a daemon, which has failed in all that was not measured yet."""
        self.say(f"{daemon.name} can't be used any more: {reason}")
        self.daemons.remove(daemon)
        for key in {"boot", "stop", "memory", "cpu"} & set(self.rows):
            self.results.fail(Key(key, daemon.name, self.size), reason)
        for side in daemon.sides:
            for row in (ADD, *BETWEEN, REMOVE, STATS):
                if side.name in self.names and row.key in self.rows and side.can(row.verb):
                    self.results.fail(Key(row.key, side.name, self.size), reason)

    def measure_idle(self) -> None:
        """Measure CPU and memory of all daemons in the same seconds, without any request."""
        time.sleep(_SETTLE_SECONDS)
        if "cpu" in self.rows:
            self.say(f"nothing for {self.idle_seconds:.0f} s")
            before = {daemon.name: cpu_seconds(daemon.family()) for daemon in self.daemons}
            time.sleep(self.idle_seconds)
            for daemon in self.daemons:
                then, now = before[daemon.name], cpu_seconds(daemon.family())
                used = sum(seconds - then.get(pid, 0.0) for pid, seconds in now.items())
                self.add("cpu", daemon, used / self.idle_seconds * 100)
        if "memory" in self.rows:
            for daemon in self.daemons:
                self.add("memory", daemon, memory(daemon.family()))
        self.watch_memory()

    def watch_memory(self) -> None:
        """Remember the highest memory of each daemon."""
        if "memory" in self.rows:
            for daemon in self.daemons:
                self.results.add_highest(Key("peak", daemon.name, self.size), memory(daemon.family()))


def rotated(all: Sequence[Each], number: int) -> Sequence[Each]:
    """Rotate the order, so that no contender is always first or always follows the same one."""
    first = number % len(all) if all else 0
    return [*all[first:], *all[:first]]


def more_than_usual(rounds: int) -> float:
    """Return by how much the limits of time are raised: more rounds take longer."""
    return max(1.0, rounds / ROUNDS)
