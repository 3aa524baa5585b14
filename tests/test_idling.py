"""supervisord's loop sleeps while nothing is due."""

import math
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from supervisor.states import ProcessStates, SupervisorStates

from daemon_programs.supervisor.plugin.idling import IDLE_SECONDS, Idling
from daemon_programs.supervisor.plugin.programs.group import ProgramGroup
from tests.stack import OWN_USER, Stack, eventually

NOTHING: tuple[list[int], list[int]] = ([], [])


def program(due_in: float) -> ProgramGroup:
    group = object.__new__(ProgramGroup)
    group.due_at = time.monotonic() + due_in
    return group


def part(state: int = ProcessStates.RUNNING, **more: Any) -> SimpleNamespace:
    return SimpleNamespace(processes={"api": SimpleNamespace(state=state)}, **more)


class Loop:
    """A supervisord with these groups, and how long its polls have waited."""

    def __init__(self, *groups: Any, mood: int = SupervisorStates.RUNNING, delay: float = 0) -> None:
        self.waited: list[float] = []
        self.found: tuple[list[int], list[int]] = NOTHING
        self.options = SimpleNamespace(
            mood=mood,
            poller=SimpleNamespace(poll=self.poll),
            get_socket_map=lambda: {3: SimpleNamespace(delay=delay), 4: SimpleNamespace()},
        )
        self.process_groups = dict(enumerate(groups))
        Idling(self).install()

    def poll(self, seconds: float) -> tuple[list[int], list[int]]:
        self.waited.append(round(seconds, 1))
        return self.found

    def turn(self, times: int = 2) -> list[float]:
        for _ in range(times):
            assert self.options.poller.poll(1) == self.found
        return self.waited


def test_loop_sleeps_after_a_turn_without_a_cause() -> None:
    loop = Loop(program(math.inf), part(), part(ProcessStates.STOPPED, event_buffer=[]))
    assert loop.turn(3) == [1, IDLE_SECONDS, IDLE_SECONDS]
    loop.found = ([3], [])
    assert loop.turn(2)[3:] == [IDLE_SECONDS, 1], "a turn that has a cause is followed by a short one"


def test_loop_sleeps_no_longer_than_until_a_program_is_due() -> None:
    assert Loop(program(math.inf), program(7), part()).turn() == [1, 7]
    assert Loop(program(-1), part()).turn() == [1, 1]


@pytest.mark.parametrize("state", [ProcessStates.STARTING, ProcessStates.BACKOFF, ProcessStates.STOPPING])
def test_loop_looks_each_second_at_a_part_that_starts_or_ends(state: int) -> None:
    assert Loop(part(), part(state)).turn() == [1, 1]


def test_loop_looks_each_second_while_events_or_an_answer_wait_or_it_ends() -> None:
    assert Loop(part(event_buffer=["an event"])).turn() == [1, 1]
    assert Loop(part(), delay=0.1).turn() == [1, 1]
    assert Loop(part(), mood=SupervisorStates.SHUTDOWN).turn() == [1, 1]


def test_idle_supervisord_sleeps(own_stack: Stack) -> None:
    api = own_stack.start().api
    api.add(boot=True)
    api.ok("quick-start", {"command": "sleep 1000", "user": OWN_USER, "ttl": 600})

    def turns() -> int:
        """How often it has gone to sleep."""
        lines = Path(f"/proc/{own_stack.supervisord_pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))

    def is_asleep() -> bool:
        before = turns()
        time.sleep(4)
        return turns() == before

    eventually(is_asleep, 60)
