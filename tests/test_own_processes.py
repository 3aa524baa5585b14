"""The parts of the stack, and what belongs to no program: how they are told, and how they end."""

import contextlib
import os
import signal
from pathlib import Path

import psutil
import pytest

from daemon_programs.supervisor.client import Supervisor
from daemon_programs.supervisor.processes import marks, notes
from tests.processes import python, started
from tests.stack import Api, Stack, eventually
from tests.temporary_programs import own_processes

PARTS = ("api", "scheduler", "listener", "prober")

# A daemon that has changed the limit which marks it. Privileged programs can raise it, too.
LOSES_ITS_MARK = """
import os, resource, sys, time
if os.fork(): time.sleep(1000)
if os.fork(): os._exit(0)
os.setsid()
resource.setrlimit(resource.RLIMIT_MSGQUEUE, (1, 1))
print(os.getpid(), flush=True)
{then}
time.sleep(1000)
"""


def supervisor(stack: Stack) -> Supervisor:
    return Supervisor(stack.folder / "supervisor.sock")


def test_parts_are_marked_and_noted(stack: Stack) -> None:
    noted = {note.owner.process: note for note in notes.read(str(stack.folder / "running"))}
    pids = {name: part["pid"] for name, part in supervisor(stack).states()["stack"].items()}
    assert set(pids) == set(PARTS)
    for name, pid in pids.items():
        claim = noted[name].claim
        assert claim is not None
        assert noted[name].identity.pid == pid
        assert marks.read(pid) == claim.mark
        assert claim.uid == os.geteuid()


def test_part_that_is_started_again_is_noted_again(own_stack: Stack) -> None:
    own_stack.start()
    before = supervisor(own_stack).states()["stack"]["listener"]["pid"]
    os.kill(before, signal.SIGKILL)
    pid = eventually(
        lambda: (now := supervisor(own_stack).states()["stack"]["listener"]["pid"]) != before and now
    )
    noted = {note.owner.process: note.identity.pid for note in notes.read(str(own_stack.folder / "running"))}
    assert noted["listener"] == pid


def test_parts_end_when_supervisord_is_killed(own_stack: Stack) -> None:
    """Otherwise the API would answer on, and change the next stack."""
    own_stack.start()
    parts = own_processes(own_stack, *PARTS)
    assert len(parts) >= len(PARTS)
    os.kill(own_stack.supervisord_pid, signal.SIGKILL)
    eventually(lambda: not any(map(lives, parts)), 15, "the parts have ended")


def lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def unclaimed(api: Api, stack: Stack, then: str = "") -> int:
    """Start a program that leaves behind what can't be told, and stop it; the pid of that."""
    id = api.add(python(LOSES_ITS_MARK.replace("{then}", then)))
    started(api, id)
    pid = int(eventually(lambda: api.logs(id).strip()))
    api.ok(f"programs/{id}/stop")
    return pid


@pytest.mark.parametrize(
    "then", ["", "import signal; signal.signal(15, signal.SIG_IGN)"], ids=["", "stubborn"]
)
def test_what_belongs_to_no_program_is_shown_and_ends_with_the_stack(own_stack: Stack, then: str) -> None:
    api = own_stack.start().api
    pid = unclaimed(api, own_stack, then)
    assert psutil.pid_exists(pid)
    eventually(lambda: supervisor(own_stack).states()["unclaimed"] == [pid])
    shown = own_stack.manage("reconcile", "--dry-run").stdout
    assert "processes that belong to no program: python" in shown
    assert f"(pid {pid})" in shown
    assert own_stack.stop(30) == 0
    assert not psutil.pid_exists(pid)


def test_what_belongs_to_no_program_ends_by_hand(api: Api, stack: Stack) -> None:
    pid = unclaimed(api, stack)
    eventually(lambda: pid in supervisor(stack).states()["unclaimed"])
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: pid not in supervisor(stack).states()["unclaimed"])


def test_log_of_supervisord_has_no_line_for_each_orphan_that_ends(
    api: Api, stack: Stack, tmp_path: Path
) -> None:
    id = api.add(f"sh -c 'for n in $(seq 100); do (true &); done; touch {tmp_path}/done; exec sleep 1000'")
    started(api, id)
    eventually((tmp_path / "done").exists)
    api.until(id, "running")
    assert "reaped unknown pid" not in (stack.folder / "stack-logs" / "supervisord.log").read_text()
