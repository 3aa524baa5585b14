"""A sleeping program has itself woken when something is due, and is not kept for that once it is removed."""

import gc
import time
import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from daemon_programs.supervisor.plugin.programs.group import ProgramGroup


def asleep(alarms: list[Callable[[], None]]) -> ProgramGroup:
    """A program of which something is due in a day."""
    context = SimpleNamespace(wakeup=SimpleNamespace(at=lambda _, call: alarms.append(call)))
    spec = {"expires_at": None, "temporary": False}
    config: Any = SimpleNamespace(context=context, spec=spec, process_configs=[], name="program-1")
    registry: Any = SimpleNamespace(awake={}, count_change=lambda: 1)
    group = ProgramGroup(config, registry)
    process: Any = SimpleNamespace(due_at=time.monotonic() + 86400, is_over=False)
    group.processes = {"program-1": process}
    registry.awake.clear()
    group._sleep()
    return group


def test_alarm_wakes_the_program() -> None:
    alarms: list[Callable[[], None]] = []
    group = asleep(alarms)
    assert group.due_at > 0
    alarms[0]()
    assert group.due_at == 0.0


def test_alarm_does_not_keep_a_program_that_was_removed() -> None:
    alarms: list[Callable[[], None]] = []
    group = weakref.ref(asleep(alarms))
    gc.collect()
    assert group() is None
    alarms[0]()
