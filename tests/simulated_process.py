"""A program's process with a clock of its own and without a child: what it decides, in no time."""

import heapq
import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from supervisor import events
from supervisor.datatypes import RestartWhenExitUnexpected
from supervisor.states import getProcessStateDescription

from daemon_programs.supervisor.plugin.programs.backoff import RestartPolicy
from daemon_programs.supervisor.plugin.programs.process import ProgramProcess

Simulate = Callable[..., "Simulation"]  # with the configuration, as far as it is not the default
PID = 2**22 + 1  # above the highest that the kernel gives


class Simulation:
    """The process, the clock, and what was announced: (seconds, state, cause)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **config: Any) -> None:
        self.now = 1000.0
        self.told: list[tuple[float, str, str]] = []
        self.deadlines: list[float] = []
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "time", lambda: self.now + 1_000_000.0)
        monkeypatch.setattr(random, "random", lambda: 0.0)
        monkeypatch.setattr(os, "kill", lambda pid, signum: None)
        monkeypatch.setattr(events, "callbacks", [(events.ProcessStateEvent, self._tell)])
        self.process = Simulated(self, config)

    def _tell(self, event: events.ProcessStateEvent) -> None:
        state = getProcessStateDescription(event.process.state).lower()
        self.told.append((self.now - 1000, state, event.process.by))

    @property
    def states(self) -> list[str]:
        return [state for _, state, _ in self.told]

    @property
    def starts(self) -> list[float]:
        """When it was started, in seconds since the beginning."""
        return [at for at, state, _ in self.told if state == "starting"]

    @property
    def state(self) -> str:
        return str(getProcessStateDescription(self.process.state)).lower()

    def start(self, by: str = "api:alice") -> None:
        self.process.start_by = by
        self.process.spawn()
        self.process.transition()

    def advance(self, seconds: float) -> None:
        """Let time pass, and the process do what is due at each of its deadlines."""
        until = self.now + seconds
        while self.deadlines and self.deadlines[0] <= until:
            self.now = max(self.now, heapq.heappop(self.deadlines))
            self.process.transition()
        self.now = until
        self.process.transition()

    def run(self, lives: float, seconds: float, code: int = 1) -> None:
        """Let time pass, in which each run ends by itself after so many seconds."""
        until = self.now + seconds
        while self.now < until:
            if self.process.pid:
                self.advance(min(lives, until - self.now))
                if self.now < until:
                    self.end(code)
            else:
                self.advance(min(0.01, until - self.now))

    def end(self, code: int = 0, signum: int = 0) -> None:
        """Let the process end by itself, or of a signal."""
        self.process.finish(PID, signum or code << 8)
        self.process.transition()


class Simulated(ProgramProcess):
    """It has a pid, and no child."""

    def __init__(self, simulation: Simulation, config: dict[str, Any]) -> None:
        @contextmanager
        def contained(what: str) -> Any:
            yield

        nothing = lambda *arguments, **options: None  # noqa: E731
        context = SimpleNamespace(
            wakeup=SimpleNamespace(at=lambda at: heapq.heappush(simulation.deadlines, at), poke=nothing),
            contained=contained,
            orphans=SimpleNamespace(of=lambda *_, **__: [], are_gone=lambda *_: True),
            announce_settled=nothing,
            notes_folder="",
        )
        values = {
            "name": "p",
            "context": context,
            "options": SimpleNamespace(mood=1, logger=SimpleNamespace(info=nothing)),
            "delay_seconds": 0,
            "startsecs": 1,
            "max_runtime_seconds": None,
            "exitcodes": [0],
            "restart_policy": RestartPolicy(),
            "stopwaitsecs": 10,
            "stopsignal": signal.SIGTERM,
            "stop_scope": "main",
            "before_start": [],
            "memory_limit_bytes": None,
            "terminal": False,
            "private_folder": None,
            "ready": None,
            "health": None,
            "autorestart": RestartWhenExitUnexpected,
        }
        group = SimpleNamespace(
            config=SimpleNamespace(name="program-1", spec={}),
            wake=nothing,
            announce=nothing,
            look_at_dependencies=list,
        )
        super().__init__(SimpleNamespace(**{**values, **config}), group)

    def _launch(self) -> int:
        self.launch_at = None
        self.pid = PID
        self.launched_at = time.monotonic()
        self.context.wakeup.at(self.launched_at + self.config.startsecs)
        return PID

    def _forget(self) -> None:
        """Do nothing: nothing was noted."""

    def _keep_output(self) -> None:
        """Do nothing: nothing is written."""

    def _close_pipes(self) -> None:
        """Do nothing: there are none."""
