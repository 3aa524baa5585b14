"""Processes of a stack in the process table: who is found, who is left alone, and how they are ended."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from daemon_programs.supervisor.processes import marks, notes, survivors, tree
from daemon_programs.supervisor.processes.marks import Claim, Mark, Marks
from daemon_programs.supervisor.processes.notes import Owner
from daemon_programs.supervisor.processes.survivors import Survivors
from tests.processes import is_root
from tests.stack import Stack, eventually

WEB = Owner("program-1", "program-1")
needs_root = pytest.mark.skipif(not is_root(), reason="it takes root to become another user")


def marked(mark: Mark) -> list[str]:
    """The command that runs another one with a mark."""
    return ["prlimit", f"--msgqueue={mark.soft}:{mark.hard}"]


class Table:
    """A folder of notes that is no stack's, and processes that were noted and marked, or weren't."""

    def __init__(self, folder: Path, cleanup: ExitStack) -> None:
        self.noted = folder / "running"
        self.noted.mkdir(parents=True)
        self.cleanup = cleanup
        self.marks = Marks()

    def run(
        self,
        script: str,
        *,
        owner: Owner = WEB,
        is_noted: bool = True,
        is_marked: bool = True,
        user: str | None = None,
    ) -> int:
        """Start a shell that has a mark and a session of its own, as supervisord's children do."""
        account = pwd.getpwnam(user) if user else None
        uid = account.pw_uid if account else os.geteuid()
        mark = self.marks.take(is_root=uid == 0)
        assert mark is not None
        options = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
        child = subprocess.Popen(
            [*(marked(mark) if is_marked else []), "sh", "-c", script],
            start_new_session=True,
            **options,  # type: ignore[call-overload]
        )
        self.cleanup.callback(child.wait)
        self.cleanup.callback(child.kill)
        if is_noted:
            notes.write(str(self.noted), owner, child.pid, Claim(mark, uid) if is_marked else None)
        if is_marked:
            eventually(lambda: marks.read(child.pid) == mark)
        return child.pid

    def find(self) -> Survivors:
        return survivors.find(str(self.noted))

    def pids(self) -> set[int]:
        return {identity.pid for identity in self.find().owners}

    def owners(self) -> dict[int, Owner]:
        return {identity.pid: owner for identity, owner in self.find().owners.items()}

    def of(self, token: str) -> set[int]:
        """The pids of living processes that have a word in their arguments."""
        found = set()
        for pid in tree.processes():
            try:
                arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if token.encode() in arguments:
                found.add(pid)
        return found

    def kill(self, pid: int) -> None:
        """Kill the process alone, as if it had crashed."""
        identity = tree.identify(pid)
        assert identity
        tree.send(identity, signal.SIGKILL)
        eventually(lambda: tree.identify(pid) is None)


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    with ExitStack() as cleanup:
        yield Table(tmp_path / "state", cleanup)


@pytest.fixture
def token() -> Iterator[str]:
    """A word that all processes of a test have among their arguments, a number of seconds."""
    token = str(100_000_000 + time.monotonic_ns() % 800_000_000)
    yield token
    for process in psutil.process_iter(["cmdline"]):
        if token in (process.info["cmdline"] or []):
            process.kill()


def end(table: Table, grace: float) -> set[int]:
    return {identity.pid for identity in survivors.end(table.find, lambda owner: grace)}


# Who is found

ESCAPES = {
    "child": "sleep {0}",
    "cleared environment": "env -i sleep {0}",
    "session": "setsid sleep {0}",
    "daemon": "(setsid env -i setsid sleep {0} &)",
    "nohup": "nohup setsid env -i sleep {0} >/dev/null",
}
AS_ROOT = "su nobody -s /bin/sh -c 'setsid env -i sleep {0}'"


@pytest.mark.parametrize("is_main_alive", [True, False], ids=["main lives", "main has ended"])
def test_tree_is_found_whatever_has_become_of_parents_sessions_and_environment(
    table: Table, token: str, is_main_alive: bool
) -> None:
    ways = [way.format(token) for way in ESCAPES.values()]
    if is_root():
        ways.append(AS_ROOT.format(token))
    pid = table.run(" & ".join([*ways, f"exec sleep {token}"]))
    eventually(lambda: len(table.of(token)) >= len(ways) + 1)
    if not is_main_alive:
        table.kill(pid)
    assert table.of(token) <= table.pids()
    assert set(table.owners().values()) == {WEB}
    assert table.find().has_main(WEB) is is_main_alive
    assert table.find().doubtful == set()
    assert end(table, 5) >= table.of(token)
    assert table.of(token) == set()


@needs_root
def test_process_that_has_left_the_root_folder_is_found(table: Table, tmp_path: Path) -> None:
    code = f'import os, time; os.chroot("{tmp_path}"); os.setsid(); time.sleep(1000)'
    pid = table.run(f"{sys.executable} -c '{code}' & echo $! > {tmp_path}/orphan; exec sleep 1000")
    orphan = int(eventually(lambda: (tmp_path / "orphan").exists() and (tmp_path / "orphan").read_text()))
    eventually(lambda: Path(f"/proc/{orphan}/root").readlink() == tmp_path)
    table.cleanup.callback(os.kill, orphan, signal.SIGKILL)
    table.kill(pid)
    assert table.pids() == {orphan}


def test_process_that_could_not_be_marked_is_found_by_its_note_with_its_descendants(
    table: Table, token: str
) -> None:
    pid = table.run(f"env -i setsid sleep {token} & exec sleep {token}", is_marked=False)
    eventually(lambda: len(table.of(token)) == 2)
    assert table.pids() == table.of(token) >= {pid}
    notes.forget(str(table.noted), WEB)
    assert table.pids() == set()


def test_process_is_found_whose_supervisord_was_killed_before_it_could_note_the_pid(table: Table) -> None:
    pid = table.run("sleep 1000 & wait")
    [note] = notes.read(str(table.noted))
    assert note.claim
    notes.announce(str(table.noted), WEB, note.claim)
    assert pid in table.pids()
    end(table, 5)
    assert table.pids() == set()


def test_what_is_not_noted_is_not_found(table: Table) -> None:
    table.run("sleep 1000 & exec sleep 1000", is_noted=False)
    assert table.pids() == set()


@pytest.mark.parametrize("changed", ["start time", "boot"])
def test_pid_that_has_gone_to_another_process_is_left_alone(table: Table, changed: str) -> None:
    pid = table.run("exec sleep 1000", is_marked=False)
    [note] = table.noted.iterdir()
    noted, start_time, boot = note.read_text().split()
    if changed == "start time":
        note.write_text(f"{noted} {int(start_time) - 1} {boot}\n")
    else:
        note.write_text(f"{noted} {start_time} 00000000-0000-0000-0000-000000000000\n")
    assert table.pids() == set()
    assert end(table, 0) == set()
    assert tree.identify(pid)


def test_marks_of_an_earlier_boot_are_nothing(table: Table) -> None:
    pid = table.run("exec sleep 1000")
    [note] = table.noted.iterdir()
    words = note.read_text().split()
    note.write_text(" ".join([*words[:2], "00000000-0000-0000-0000-000000000000", *words[3:]]))
    assert table.pids() == set()
    assert tree.identify(pid)


@pytest.mark.parametrize("content", ["", "1", "x y z", "1 2 3 4", "1 2 {boot} 3", "1 2 {boot} x y z"])
def test_note_that_can_not_be_read_is_none(table: Table, content: str) -> None:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    (table.noted / "program-1:program-1").write_text(content.format(boot=boot))
    assert table.find().owners == {}


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
    other = Table(tmp_path / "other", table.cleanup)
    theirs = other.run("sleep 1000 & wait")
    ours = table.run("exec sleep 1000", owner=Owner("program-2", "8000"))
    assert table.owners() == {ours: Owner("program-2", "8000")}
    assert end(table, 5) == {ours}
    assert tree.identify(theirs)
    assert len(other.pids()) == 2


@needs_root
def test_mark_of_a_program_on_a_process_of_another_user_is_doubtful(table: Table) -> None:
    """Any user can lower a limit to the mark of a program: that must not hold up the start for long."""
    ours = table.run("exec sleep 1000", user="daemon")
    mark = marks.read(ours)
    assert mark is not None
    forger = subprocess.Popen(
        [*marked(mark), "sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"], user="nobody"
    )
    table.cleanup.callback(forger.wait)
    table.cleanup.callback(forger.kill)
    eventually(lambda: forger.pid in table.pids())
    assert {identity.pid for identity in table.find().doubtful} >= {forger.pid}
    assert ours not in {identity.pid for identity in table.find().doubtful}
    begun = time.monotonic()
    end(table, 60)
    assert time.monotonic() - begun < 8
    assert forger.poll() is not None


@needs_root
def test_other_user_finds_nothing_that_it_may_not_end(table: Table, tmp_path: Path, token: str) -> None:
    for folder in (*list(tmp_path.parents)[:3], tmp_path, table.noted.parent, table.noted):
        if folder != Path("/tmp"):
            folder.chmod(0o755)
    pid = table.run("exec sleep 1000")
    (table.noted / "program-1:program-1").chmod(0o600)
    script = f"setsid env -i sleep {token} & exec sleep {token}"
    theirs = table.run(script, owner=Owner("2", "2"), user="nobody")
    eventually(lambda: len(tree.descend([theirs])) == 2)
    tree_of_theirs = {identity.pid for identity in tree.descend([theirs])}
    roots = tree.identify(pid)
    assert roots

    def look() -> None:
        assert table.pids() == tree_of_theirs
        assert not tree.send(roots, signal.SIGKILL)
        os._exit(0)

    assert as_user(pwd.getpwnam("nobody"), look) == 0
    assert table.pids() == {pid, *tree_of_theirs}


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
    assert table.find().owners == {}
    assert told.read_text() == "bye\n"


def test_main_process_is_asked_first_and_the_rest_when_it_has_ended(table: Table, tmp_path: Path) -> None:
    told = tmp_path / "told"
    child = f"trap 'echo child >> {told}; exit' TERM; echo > {tmp_path}/ready; while :; do sleep 0.05; done"
    tidy = f"sleep 0.5; echo main >> {told}; exit"
    table.run(f"({child}) & trap '{tidy}' TERM; while :; do sleep 0.05; done")
    eventually((tmp_path / "ready").exists)
    begun = time.monotonic()
    end(table, 20)
    assert time.monotonic() - begun < 10
    assert told.read_text() == "main\nchild\n"


def test_tree_of_a_main_process_that_goes_on_is_asked_later(table: Table, tmp_path: Path) -> None:
    told = tmp_path / "told"
    child = f"trap 'echo child >> {told}; exit' TERM; echo > {tmp_path}/ready; while :; do sleep 0.05; done"
    table.run(f"({child}) & trap '' TERM; while :; do sleep 0.05; done")
    eventually((tmp_path / "ready").exists)
    begun = time.monotonic()
    end(table, 2)
    assert 2 <= time.monotonic() - begun < 8
    assert told.read_text() == "child\n"


def test_process_that_is_made_while_its_parent_is_being_ended_is_ended_too(
    table: Table, tmp_path: Path, token: str
) -> None:
    made = tmp_path / "made"
    heir = f"(setsid sleep {token} &); echo > {made}; exit"
    table.run(f"trap '{heir}' TERM; echo > {tmp_path}/ready; while :; do sleep 0.05; done")
    eventually((tmp_path / "ready").exists)
    end(table, 10)
    assert made.exists()
    assert table.of(token) == set()


def test_process_that_can_not_be_ended_is_named(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = table.run("exec sleep 1000")
    monkeypatch.setattr(survivors, "_KILL_SECONDS", 0.2)
    monkeypatch.setattr(tree, "send", lambda identity, signum: False)
    with pytest.raises(TimeoutError, match=f"^process {pid} lives on after SIGKILL$"):
        end(table, 0)


def test_stack_is_not_started_from_within_what_is_to_be_ended(own_stack: Stack) -> None:
    noted = own_stack.folder / "running"
    noted.mkdir(parents=True, mode=0o700)
    own_stack.folder.chmod(0o700)
    notes.write(str(noted), WEB, os.getpid())  # of which the command is a child
    try:
        refused = own_stack.manage("run_stack")
    finally:
        shutil.rmtree(noted)  # or the end of the stack would be the end of this process
    assert refused.returncode == 1
    assert refused.stderr.startswith("CommandError: This command runs within a program that a killed stack")
