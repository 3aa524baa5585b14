"""A stack whose wall clock is set an hour back and forth: the queue works on, and is not ended for it.

The clock is that of the stack alone, by a library that is loaded before all others. What waits in the kernel
for a time of the wall clock is not reached by it; the tests of ``tests/test_clocks.py`` tell of that.
"""

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import database
from tests.stack import Stack, eventually, temporary_folder, temporary_stack
from tests.temporary_programs import own_processes

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long offset(void) {
    char text[32] = {0};
    int file = open(getenv("CLOCK_OFFSET_FILE"), O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    if (read(file, text, sizeof text - 1) < 0) text[0] = 0;
    close(file);
    return atol(text);
}
int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(clock, now);
    if (!failed && clock == CLOCK_REALTIME) now->tv_sec += offset();
    return failed;
}
"""


@pytest.fixture(scope="module")
def shifted() -> Iterator[tuple[Stack, Path]]:
    """A running stack, and the file that says by how many seconds its clock is wrong."""
    if not shutil.which("gcc"):
        pytest.skip("it takes gcc")
    with temporary_folder() as folder:
        source, library, file = folder / "clock.c", folder / "clock.so", folder / "offset"
        source.write_text(SHIM)
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
        file.write_text("0")
        with temporary_stack(LD_PRELOAD=str(library), CLOCK_OFFSET_FILE=str(file)) as stack:
            yield stack.start(), file


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
