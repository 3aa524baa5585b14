"""A stack whose wall clock is set an hour back and forth: the queue works on, and is not ended for it.

What waits in the kernel for a time of the wall clock is not reached by `tests.shifted_clock`; the tests of
``tests/test_clocks.py`` tell of that.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import database, shifted_clock
from tests.stack import Stack, eventually, temporary_folder, temporary_stack
from tests.temporary_programs import own_processes


@pytest.fixture(scope="module")
def shifted() -> Iterator[tuple[Stack, Path]]:
    """A running stack, and the file that says by how many seconds its clock is wrong."""
    if not shifted_clock.is_possible():
        pytest.skip("it takes gcc")
    with temporary_folder() as folder, temporary_stack(**shifted_clock.environment(folder)) as stack:
        yield stack.start(), shifted_clock.offset_file(folder)


def finished(stack: Stack) -> set[str]:
    """The ids of the tasks that the queue has finished."""
    with database.opened(stack.folder) as rows:
        return {id for (id,) in rows.execute("SELECT id FROM django_q_task WHERE func LIKE '%reconcile%'")}


@pytest.mark.parametrize("seconds", [-3600, 3600])
def test_queue_works_on(shifted: tuple[Stack, Path], seconds: int) -> None:
    stack, file = shifted
    file.write_text("0")
    eventually(lambda: finished(stack), 90)
    queue = {process.pid for process in own_processes(stack, "scheduler")}
    file.write_text(str(seconds))
    began, before = time.monotonic(), finished(stack)
    eventually(lambda: finished(stack) - before, 130, "a scheduled task has run")
    print(
        f"clock set by {seconds} seconds: the next task had run after {time.monotonic() - began:.0f} seconds"
    )
    assert {process.pid for process in own_processes(stack, "scheduler")} == queue, "it was not restarted"
