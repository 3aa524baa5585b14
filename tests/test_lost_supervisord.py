"""supervisord is lost in the middle of a set of changes: one failure is enough to know."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from tests.processes import LONG_RUNNING
from tests.program_sets import document, failed, names, write
from tests.stack import Stack

PROGRAMS = 40
PATIENCE_SECONDS = 5  # of one call


@pytest.mark.parametrize("how", ["import", "reset"])
def test_set_is_undone_without_asking_again_for_each_program(
    own_stack: Stack, tmp_path: Path, how: str
) -> None:
    api = own_stack.start().api
    before = names(api)
    wanted = write(tmp_path / "set", *(document(100 + n, f"new {n}") for n in range(PROGRAMS)))
    (own_stack.folder / "programs.default.json").write_text(wanted.read_text())
    arguments = ("import_programs", str(wanted)) if how == "import" else ("reset_programs",)
    suspended_at: list[float] = []
    suspension = threading.Thread(target=_suspend_in_the_middle, args=(own_stack, suspended_at))
    suspension.start()
    try:
        sentence = failed(own_stack, *arguments)
        ended_at = time.monotonic()
    finally:
        suspension.join()
        os.kill(own_stack.supervisord_pid, signal.SIGCONT)
    assert sentence == "supervisord can't be reached; nothing was changed"
    assert ended_at - suspended_at[0] < 3 * PATIENCE_SECONDS, "far less than one for each program"
    assert names(api) == before
    present = {file.name for file in (own_stack.folder / "conf.d").glob("program-*")}
    assert present == {
        f"program-{id}.json" for id in before if api.get(f"programs/{id}").json()["program"]["enabled"]
    }
    assert own_stack.manage("reconcile").returncode == 0
    api.add(LONG_RUNNING, name="after")


def _suspend_in_the_middle(stack: Stack, suspended_at: list[float]) -> None:
    """Stop supervisord when some of the programs are registered, and before all of them are."""
    folder = stack.folder / "conf.d"
    deadline = time.monotonic() + 30
    while sum(1 for _ in folder.glob("program-1[0-9][0-9].json")) < 3 and time.monotonic() < deadline:
        time.sleep(0.001)
    os.kill(stack.supervisord_pid, signal.SIGSTOP)
    suspended_at.append(time.monotonic())
