"""supervisord is lost in the middle of a set of changes: one failure is enough to know."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from tests.processes import LONG_RUNNING
from tests.program_sets import document, failed, names, write
from tests.stack import Stack, eventually

PROGRAMS = 12


@pytest.mark.parametrize("how", ["import", "reset"])
def test_set_is_undone_without_asking_again_for_each_program(
    own_stack: Stack, tmp_path: Path, how: str
) -> None:
    api = own_stack.start().api
    before = names(api)
    wanted = write(tmp_path / "set", *(document(100 + n, f"new {n}") for n in range(PROGRAMS)))
    (own_stack.folder / "programs.default.json").write_text(wanted.read_text())
    arguments = ("import_programs", str(wanted)) if how == "import" else ("reset_programs",)
    stopped = threading.Thread(target=_suspend_in_the_middle, args=(own_stack,))
    stopped.start()
    began = time.monotonic()
    try:
        sentence = failed(own_stack, *arguments)
    finally:
        took = time.monotonic() - began
        stopped.join()
        os.kill(own_stack.supervisord_pid, signal.SIGCONT)
    assert sentence == "supervisord can't be reached; nothing was changed"
    assert took < 5 + 5, "one call's patience, and the start of the command"
    assert names(api) == before
    present = {file.name for file in (own_stack.folder / "conf.d").glob("program-*")}
    assert present == {
        f"program-{id}.json" for id in before if api.get(f"programs/{id}").json()["program"]["enabled"]
    }
    assert own_stack.manage("reconcile").returncode == 0
    api.add(LONG_RUNNING, name="after")


def _suspend_in_the_middle(stack: Stack) -> None:
    """Stop supervisord when some of the programs are registered."""
    folder = stack.folder / "conf.d"
    eventually(lambda: sum(1 for _ in folder.glob("program-10*")) >= 3, 30)
    os.kill(stack.supervisord_pid, signal.SIGSTOP)
