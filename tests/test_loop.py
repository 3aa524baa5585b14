"""supervisord's loop: a turn looks at the programs that are awake, and reads from all of them."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from supervisor import events
from supervisor.medusa import asyncore_25 as asyncore
from supervisor.poller import PollPoller
from supervisor.states import ProcessStates, SupervisorStates

from daemon_programs.supervisor.plugin.loop import IDLE_SECONDS, POLL_SECONDS, Loop
from tests.stack import OWN_USER, Stack, eventually


class Pipe:
    """A dispatcher of a program's output."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.descriptor, self.end = os.pipe()
        self.read: list[bytes] = []
        self.is_open = True
        self.fault = fault
        self.faults = 0

    def readable(self) -> bool:
        return self.is_open

    def writable(self) -> bool:
        return False

    def handle_read_event(self) -> None:
        if self.fault:
            raise self.fault
        data = os.read(self.descriptor, 100)
        self.is_open = bool(data)
        self.read.append(data)

    def handle_error(self) -> None:
        self.faults += 1
        self.is_open = False


class Group:
    """A program or a part of the stack, and how often it was looked at."""

    def __init__(self, name: str, priority: int, pipe: Pipe, told: list[str]) -> None:
        self.config = SimpleNamespace(name=name, priority=priority)
        self.pipe = pipe
        self.told = told
        self.processes = {name: SimpleNamespace(state=ProcessStates.RUNNING)}
        self.event_buffer: list[str] = []

    def __lt__(self, other: "Group") -> bool:
        return self.config.priority < other.config.priority

    def get_dispatchers(self) -> dict[int, Pipe]:
        return {self.pipe.descriptor: self.pipe}

    def transition(self) -> None:
        self.told.append(self.config.name)

    def get_unstopped_processes(self) -> list[Any]:
        return []


class Turns:
    """A loop, with one part of the stack and what is given as awake."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.awake: list[Group] = []
        self.part = Group("api", 5, Pipe(), self.told)
        self.channel = SimpleNamespace(
            delay=0, readable=lambda: False, writable=lambda: False, handle_error=lambda: None
        )
        options = SimpleNamespace(
            get_socket_map=lambda: {os.open("/dev/null", os.O_RDONLY): self.channel},
            mood=SupervisorStates.RUNNING,
            signal_receiver=SimpleNamespace(_signals_recvd=[]),
            logger=SimpleNamespace(blather=lambda *_, **__: None),
        )
        options.poller = PollPoller(options)
        nothing: Callable[..., None] = lambda *_, **__: None  # noqa: E731
        self.supervisord = SimpleNamespace(
            options=options,
            process_groups={"api": self.part},
            stopping=False,
            reap=nothing,
            handle_signal=nothing,
            tick=nothing,
            ordered_stop_groups_phase_1=nothing,
            ordered_stop_groups_phase_2=nothing,
            shutdown_report=list,
        )
        registry = SimpleNamespace(
            supervisord=self.supervisord, awake_groups=lambda: self.awake, groups=lambda: self.awake
        )
        self.loop = Loop(registry)  # type: ignore[arg-type]

    def turn(self, *awake: Group) -> list[str]:
        """What a turn looks at, in its order."""
        self.told.clear()
        self.awake = list(awake)
        os.write(self.part.pipe.end, b"x")  # nothing waits
        self.loop._turn()
        return list(self.told)

    def waits(self, *awake: Group, times: int = 2) -> list[float]:
        """How long the polls of turns may take that nothing else ends."""
        waited: list[float] = []
        poller = SimpleNamespace(
            register_readable=lambda _: None,
            unregister_readable=lambda _: None,
            poll=lambda seconds: waited.append(seconds) or ([], []),  # type: ignore[func-returns-value]
        )
        self.awake = list(awake)
        self.supervisord.options.poller = poller
        for _ in range(times):
            self.loop._turn()
        return waited


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> Iterator[Turns]:
    monkeypatch.setattr(events, "callbacks", [])
    return Turns()


def test_turn_looks_at_parts_and_at_what_is_awake(turns: Turns) -> None:
    late, early = (Group(f"{priority}", priority, Pipe(), turns.told) for priority in (9, 1))
    assert turns.turn(late, early) == ["1", "api", "9"]
    assert turns.turn() == ["api"]


def test_output_of_a_program_that_sleeps_is_read(turns: Turns) -> None:
    group = Group("program-1", 1, Pipe(), turns.told)
    turns.turn(group)
    turns.turn()
    os.write(group.pipe.end, b"output")
    assert turns.turn() == ["api"]
    assert group.pipe.read == [b"output"]
    os.close(group.pipe.end)
    for _ in range(3):
        turns.turn()
    assert group.pipe.read == [b"output", b""], "its end is read once"


def test_pipe_of_an_ended_run_is_forgotten(turns: Turns) -> None:
    group = Group("program-1", 1, Pipe(), turns.told)
    turns.turn(group)
    turns.turn()
    os.write(group.pipe.end, b"output")
    group.pipe = Pipe()
    turns.turn()
    turns.turn()
    assert group.pipe.read == []


def test_fault_of_a_dispatcher_is_its_own(turns: Turns) -> None:
    group = Group("program-1", 1, Pipe(ValueError()), turns.told)
    turns.turn(group)
    turns.turn()
    os.write(group.pipe.end, b"output")
    assert turns.turn() == ["api"]
    assert group.pipe.faults == 1


def test_group_that_an_operator_adds_is_looked_at_as_a_part(turns: Turns) -> None:
    turns.loop.install()
    added = Group("added", 1, Pipe(), turns.told)
    turns.supervisord.process_groups["added"] = added
    events.notify(events.ProcessGroupAddedEvent("added"))
    assert turns.turn() == ["added", "api"]
    events.notify(events.ProcessGroupRemovedEvent("added"))
    assert turns.turn() == ["api"]


def test_end_comes_when_nothing_runs(turns: Turns) -> None:
    turns.supervisord.options.mood = SupervisorStates.SHUTDOWN
    with pytest.raises(asyncore.ExitNow):
        turns.turn()
    assert turns.supervisord.stopping


def test_loop_sleeps_after_a_turn_without_a_cause(turns: Turns) -> None:
    assert turns.waits(times=3) == [POLL_SECONDS, IDLE_SECONDS, IDLE_SECONDS]
    turns.supervisord.options.poller = PollPoller(turns.supervisord.options)
    turns.turn()
    assert turns.waits() == [POLL_SECONDS, IDLE_SECONDS], "a turn that has a cause is followed by a short one"


def test_loop_does_not_sleep_while_a_program_is_awake(turns: Turns) -> None:
    assert turns.waits(Group("program-1", 1, Pipe(), [])) == [POLL_SECONDS, POLL_SECONDS]


@pytest.mark.parametrize("state", [ProcessStates.STARTING, ProcessStates.BACKOFF, ProcessStates.STOPPING])
def test_loop_does_not_sleep_while_a_part_starts_or_ends(turns: Turns, state: int) -> None:
    turns.part.processes["api"].state = state
    assert turns.waits() == [POLL_SECONDS, POLL_SECONDS]


def test_loop_does_not_sleep_while_a_part_has_events_to_take(turns: Turns) -> None:
    turns.part.event_buffer.append("an event")
    assert turns.waits() == [POLL_SECONDS, POLL_SECONDS]


def test_loop_does_not_sleep_while_an_answer_is_deferred(turns: Turns) -> None:
    turns.channel.delay = 0.1
    assert turns.waits() == [POLL_SECONDS, POLL_SECONDS]


def test_loop_does_not_sleep_while_a_signal_waits(turns: Turns) -> None:
    turns.supervisord.options.signal_receiver._signals_recvd.append(15)
    assert turns.waits() == [POLL_SECONDS, POLL_SECONDS]


def test_loop_does_not_sleep_while_it_ends(turns: Turns) -> None:
    turns.supervisord.options.mood = SupervisorStates.SHUTDOWN
    turns.supervisord.shutdown_report = lambda: ["a program"]
    assert turns.waits() == [POLL_SECONDS, POLL_SECONDS]


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
