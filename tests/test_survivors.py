"""Processes of a stack in the process table: who is found, who is left alone, and how they are ended."""

import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from daemon_programs.supervisor.processes import notes, survivors, tree
from daemon_programs.supervisor.processes.notes import Owner
from daemon_programs.supervisor.processes.survivors import Found
from tests.children import can_mount, is_root
from tests.stack import Stack, eventually

WEB = Owner("program-1", "program-1")


class Table:
    """A state folder that is no stack's, and processes that carry its marks, or don't."""

    def __init__(self, folder: Path, cleanup: ExitStack) -> None:
        self.folder = folder
        self.socket = str(folder / "supervisor.sock")
        self.noted = folder / "running"
        self.noted.mkdir(parents=True)
        self.cleanup = cleanup

    def run(self, script: str, *, socket: str | None = None, owner: Owner = WEB, **options: object) -> int:
        """Start a shell that carries marks and has a session of its own, as supervisord's children do."""
        marks = {
            "SUPERVISOR_SERVER_URL": f"unix://{socket or self.socket}",
            "SUPERVISOR_GROUP_NAME": owner.group,
            "SUPERVISOR_PROCESS_NAME": owner.process,
        }
        child = subprocess.Popen(
            ["sh", "-c", script],
            env={**os.environ, **marks},
            start_new_session=True,
            **options,  # type: ignore[call-overload]
        )
        self.cleanup.callback(child.wait)
        self.cleanup.callback(child.kill)
        eventually(lambda: tree.environment(child.pid) != tree.environment(os.getpid()))
        return child.pid

    def find(self) -> Found:
        return survivors.find(self.socket, str(self.noted))

    def pids(self) -> set[int]:
        return {identity.pid for identity in self.find()}

    def of(self, token: str) -> set[int]:
        """The pids of processes that have a word in their arguments."""
        found = set()
        for pid in tree.processes():
            try:
                arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if token.encode() in arguments:
                found.add(pid)
        return found


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    with ExitStack() as cleanup:
        yield Table(tmp_path / "state", cleanup)


def end(table: Table, grace: float) -> set[int]:
    return {identity.pid for identity in survivors.end(table.find, lambda owner: grace)}


# Who is found


@pytest.mark.skipif(not is_root(), reason="it takes root to change the root folder")
def test_process_that_sees_no_state_folder_in_its_root_is_found(table: Table, tmp_path: Path) -> None:
    jail = tmp_path / "jail"
    jail.mkdir()
    code = f'import os, time; os.chroot("{jail}"); time.sleep(1000)'
    pid = table.run(f"exec {sys.executable} -c '{code}'")
    eventually(lambda: Path(f"/proc/{pid}/root").readlink() == jail)
    assert table.pids() == {pid}


def test_tree_is_found_whatever_has_become_of_parents_sessions_and_marks(table: Table) -> None:
    token = str(100_000 + os.getpid())
    table.run(
        f"env -i sleep {token} & setsid env -i sleep {token} & (setsid sleep {token} &); (sleep {token} &); "
        f"sh -c 'env -i sh -c \"sleep {token}\"' & exec sleep {token}"
    )
    eventually(lambda: len(table.of(token)) >= 6)
    assert table.of(token) <= eventually(lambda: found if (found := table.pids()) else None)
    assert set(table.find().values()) == {WEB}
    assert end(table, 5) >= table.of(token)
    assert table.of(token) == set()


def test_process_that_has_lost_its_marks_is_found_by_the_note_of_its_start(table: Table) -> None:
    token = str(200_000 + os.getpid())
    pid = table.run(f"exec env -i sh -c 'sleep {token} & (sleep {token} &); wait'")
    eventually(lambda: len(table.of(token)) == 2 and not tree.environment(pid).get(tree.SERVER_URL))
    assert table.pids() == set()
    notes.write(str(table.noted), WEB, pid)
    # Its orphan too, which is in the session that it has begun
    assert table.pids() == {pid, *table.of(token)}
    notes.forget(str(table.noted), WEB)
    assert table.pids() == set()
    notes.write(str(table.noted), WEB, pid)
    end(table, 5)
    assert table.of(token) == set()


@pytest.mark.parametrize("changed", ["start time", "boot"])
def test_pid_that_has_gone_to_somebody_else_is_left_alone(table: Table, changed: str) -> None:
    pid = table.run("exec env -i sleep 1000")
    notes.write(str(table.noted), WEB, pid)
    [note] = table.noted.iterdir()
    noted, start_time, boot = note.read_text().split()
    if changed == "start time":
        note.write_text(f"{noted} {int(start_time) - 1} {boot}\n")
    else:
        note.write_text(f"{noted} {start_time} 00000000-0000-0000-0000-000000000000\n")
    eventually(lambda: not tree.environment(pid).get(tree.SERVER_URL))
    assert table.pids() == set()
    assert end(table, 0) == set()
    assert tree.identify(pid)


@pytest.mark.parametrize("content", ["", "1", "x y z", "1 2 3 4"])
def test_note_that_can_not_be_read_is_none(table: Table, content: str) -> None:
    (table.noted / "program-1:program-1").write_text(content)
    assert table.find() == {}


def test_signal_is_not_sent_to_a_later_process_of_the_same_pid(table: Table) -> None:
    pid = table.run("exec sleep 1000")
    identity = tree.identify(pid)
    assert identity
    assert not tree.send(identity._replace(start_time=identity.start_time - 1), signal.SIGKILL)
    assert tree.identify(pid) == identity
    assert tree.send(identity, signal.SIGKILL)
    eventually(lambda: tree.identify(pid) is None)
    assert not tree.send(identity, signal.SIGKILL)


# Who is left alone


def test_processes_of_another_stack_are_left_alone(table: Table, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    theirs = table.run("sleep 1000 & wait", socket=str(other / "supervisor.sock"))
    ours = table.run("exec sleep 1000", owner=Owner("program-2", "8000"))
    assert {identity.pid: owner for identity, owner in table.find().items()} == {
        ours: Owner("program-2", "8000")
    }
    assert end(table, 5) == {ours}
    assert tree.identify(theirs)


@pytest.mark.skipif(not can_mount(), reason="it takes the right to make mounts")
def test_container_with_the_same_path_is_left_alone(table: Table, tmp_path: Path) -> None:
    """Seen from the host, what a container's stack has started looks like our own."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    token = str(300_000 + os.getpid())
    table.run(f"exec unshare -m sh -c 'mount --bind {theirs} {table.folder} && exec sleep {token}'")
    [pid] = eventually(lambda: table.of(token))
    assert tree.environment(pid)[tree.GROUP_NAME] == b"program-1"
    assert table.pids() == set()
    # What has only made its own mounts, and sees our folder, is ours
    own = str(400_000 + os.getpid())
    table.run(f"exec unshare -m sleep {own}")
    assert table.pids() == eventually(lambda: table.of(own))


@pytest.mark.skipif(not is_root(), reason="only root can become another user")
def test_other_user_finds_nothing_that_it_may_not_end(table: Table, tmp_path: Path) -> None:
    for folder in (tmp_path, *list(tmp_path.parents)[:3], table.folder, table.noted):
        if folder != Path("/tmp"):
            folder.chmod(0o755)
    pid = table.run("exec sleep 1000")
    notes.write(str(table.noted), WEB, pid)
    (table.noted / "program-1:program-1").chmod(0o600)
    nobody = pwd.getpwnam("nobody")
    theirs = table.run("exec sleep 1000", user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[])

    def look() -> None:
        os._exit(0 if table.pids() == {theirs} else 1)

    assert as_user(nobody, look) == 0
    assert table.pids() == {pid, theirs}


def as_user(account: pwd.struct_passwd, call: Callable[[], None]) -> int:
    child = os.fork()
    if not child:
        try:
            os.setgroups([])
            os.setgid(account.pw_gid)
            os.setuid(account.pw_uid)
            call()
        finally:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


# How they are ended


def test_each_has_its_own_grace_period(table: Table, tmp_path: Path) -> None:
    told = tmp_path / "told"
    stubborn = "trap '' TERM; echo > {0}-{1}; while :; do sleep 0.05; done"
    tidy = f"trap 'echo bye > {told}; exit' TERM; echo > {tmp_path}/ready-3; while :; do sleep 0.05; done"
    owners = {Owner("program-1", "a"): 0.0, Owner("program-2", "b"): 1.0, Owner("program-3", "c"): 60.0}
    for number, (owner, script) in enumerate(zip(owners, [stubborn, stubborn, tidy], strict=True), 1):
        table.run(script.format(tmp_path / "ready", number), owner=owner)
    eventually(lambda: len(list(tmp_path.glob("ready-*"))) == 3)
    begun = time.monotonic()
    survivors.end(table.find, owners.__getitem__)
    assert 1 <= time.monotonic() - begun < 30
    assert table.find() == {}
    assert told.read_text() == "bye\n"


def test_process_that_is_made_while_its_parent_is_being_ended_is_ended_too(
    table: Table, tmp_path: Path
) -> None:
    token, made = str(500_000 + os.getpid()), tmp_path / "made"
    heir = f"(setsid sleep {token} &); echo > {made}; exit"
    table.run(f"trap '{heir}' TERM; echo > {tmp_path}/ready; while :; do sleep 0.05; done")
    eventually((tmp_path / "ready").exists)
    end(table, 10)
    assert made.exists()
    assert table.of(token) == set()


def test_stack_is_not_started_from_within_what_is_to_be_ended(own_stack: Stack) -> None:
    own_stack.folder.mkdir(mode=0o700)
    own_stack.environment.update(
        SUPERVISOR_SERVER_URL=f"unix://{own_stack.folder}/supervisor.sock",
        SUPERVISOR_GROUP_NAME="program-1",
        SUPERVISOR_PROCESS_NAME="program-1",
    )
    refused = own_stack.manage("run_stack")
    assert refused.returncode == 1
    assert refused.stderr.startswith("CommandError: This command runs within a program that a killed stack")
