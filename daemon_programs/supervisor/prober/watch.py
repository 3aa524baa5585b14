"""Watch one run of a process: look again and again, and report when the result is another one."""

import asyncio
import os
import re
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from daemon_programs.supervisor.prober.checks import Check, Checks
from daemon_programs.supervisor.prober.lines import Lines, Pattern
from daemon_programs.supervisor.probes import Probe

Report = Callable[[dict[str, Any]], None]

# Until a process is ready, looks follow each other more quickly than `interval` says: after a fifth of the
# time that it has taken so far. So it is found to be ready at most a fifth later than it was.
_HURRY = 0.2
_SHORTEST_PAUSE_SECONDS = {"command": 0.5}
_SHORTEST_PAUSE_SECONDS_OF_OTHERS = 0.05


class Watch:
    """The probes of one run, each in a task of its own, but never two looks at the same time."""

    def __init__(self, orders: dict[str, Any], checks: Checks, report: Report) -> None:
        self._report = report
        self._began = time.monotonic() - orders["age"]
        self._look = asyncio.Lock()
        self._lines = Lines()
        self._beats = 0  # since the last look
        self._pattern: Pattern | None = None
        self._tasks: list[asyncio.Task[None]] = []
        if orders["ready"]:
            ready = Probe(**orders["ready"])
            if ready.kind == "log":
                self._pattern = Pattern(ready.target)
                for channel, text in orders.get("texts", {}).items():
                    self.take_output(channel, text)
            else:
                self._begin(self._watch_ready(ready, checks.of(ready, orders.get("runs"))))
        if orders["health"]:
            health = Probe(**orders["health"])
            if health.kind == "notify":
                first_look = replace(health, after_seconds=health.interval)
                self._begin(self._watch_health(first_look, self._has_beaten))
            else:
                self._begin(self._watch_health(health, checks.of(health, orders.get("runs"))))

    def end(self) -> None:
        """Stop; what is under way is ended."""
        for task in self._tasks:
            task.cancel()

    async def ended(self) -> None:
        """Wait until what was under way has ended."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def take_output(self, channel: str, text: str) -> None:
        """Look for the pattern in what the process has printed."""
        if self._pattern is None:
            return
        try:
            found = self._pattern.occurs_in(self._lines.complete(channel, text.encode("latin-1")))
        except TimeoutError:
            self._pattern = None
            self._report({"ready": False, "why": "its regular expression takes too long to match"})
        except (re.error, OverflowError, RecursionError) as problem:
            self._pattern = None
            self._report({"ready": False, "why": f"its regular expression can't be used: {problem}"})
        else:
            if found:
                self._pattern = None
                self._report({"ready": True})

    def take_beat(self) -> None:
        """Note that the process has told that it is healthy."""
        self._beats += 1

    async def _has_beaten(self) -> str:
        beats, self._beats = self._beats, 0
        return "" if beats else "it did not send WATCHDOG=1 in time"

    def _begin(self, task: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.ensure_future(task))

    @property
    def _age(self) -> float:
        return time.monotonic() - self._began

    async def _watch_ready(self, probe: Probe, check: Check) -> None:
        """Report when the process becomes ready, and when it ceases to be."""
        shortest = _SHORTEST_PAUSE_SECONDS.get(probe.kind, _SHORTEST_PAUSE_SECONDS_OF_OTHERS)
        was_ready: bool | None = None
        told = ""
        successes = 0
        await self._sleep_until_age(probe.after_seconds)
        while True:
            problem = await self._try(probe, check)
            successes = 0 if problem else successes + 1
            is_ready = successes >= (1 if was_ready else probe.successes)
            if is_ready != was_ready or problem != told:
                was_ready, told = is_ready, problem
                self._report({"ready": is_ready, "why": problem})
            hurried = max(shortest, (self._age - probe.after_seconds) * _HURRY)
            await asyncio.sleep(probe.interval if successes else min(hurried, probe.interval))

    async def _watch_health(self, probe: Probe, check: Check) -> None:
        """Report when the process has failed or succeeded often enough in a row."""
        was_healthy: bool | None = None
        has_succeeded = False
        successes = failures = 0
        await self._sleep_until_age(probe.after_seconds)
        while True:
            problem = await self._try(probe, check)
            if not problem:
                has_succeeded = True
                successes, failures = successes + 1, 0
            elif has_succeeded or self._age >= probe.grace_seconds:
                successes, failures = 0, failures + 1
            if successes >= probe.successes and was_healthy is not True:
                was_healthy = True
                self._report({"healthy": True})
            elif failures >= probe.failures and was_healthy is not False:
                was_healthy = False
                self._report({"healthy": False, "why": problem})
            await asyncio.sleep(probe.interval)

    async def _sleep_until_age(self, seconds: float) -> None:
        await asyncio.sleep(max(seconds - self._age, 0))

    async def _try(self, probe: Probe, check: Check) -> str:
        """Look once; return why it has failed, or an empty text."""
        async with self._look:
            try:
                async with asyncio.timeout(probe.timeout):
                    return await check()
            except TimeoutError:
                return f"no answer within {probe.timeout} seconds"
            except OSError as problem:
                return (os.strerror(problem.errno) if problem.errno else str(problem)).lower()
            except ValueError:  # a name that no resolver can take
                return "its probe can't be made"
