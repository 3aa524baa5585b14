"""The marks of processes: what inherits them, and how they are given out."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from daemon_programs.supervisor.processes import marks
from daemon_programs.supervisor.processes.marks import Claim, Mark, Marks
from tests.processes import is_root
from tests.stack import eventually

MARK = Mark(400_000, 400_100)
SLEEP = "exec sleep 1000"
needs_root = pytest.mark.skipif(not is_root(), reason="it takes root to become another user")


def marked(*command: str) -> list[str]:
    """The command line that runs a command with the mark, through a process that has it from `carry`."""
    code = "import os, sys\nfrom daemon_programs.supervisor.processes.marks import Mark, carry\n"
    code += f"carry(Mark{tuple(MARK)})\nos.execvp(sys.argv[1], sys.argv[1:])"
    return [sys.executable, "-c", code, *command]


@pytest.fixture
def cleanup() -> Iterator[ExitStack]:
    with ExitStack() as cleanup:
        yield cleanup


def run(cleanup: ExitStack, *command: str) -> int:
    """Run a command that writes a pid, of itself or of a descendant, and sleeps; that pid."""
    child = subprocess.Popen(marked(*command), stdout=subprocess.PIPE, text=True)
    cleanup.callback(child.stdout.close)  # type: ignore[union-attr]
    cleanup.callback(child.wait)
    cleanup.callback(child.kill)
    pid = int(child.stdout.readline())  # type: ignore[union-attr]
    cleanup.callback(lambda: os.kill(pid, 9) if pid != child.pid else None)
    return pid


INHERITS = {
    "exec": f"echo $$; {SLEEP}",
    "fork": f"sh -c 'echo $$; {SLEEP}' & wait",
    "session": f"setsid sh -c 'echo $$; {SLEEP}' & wait",
    "cleared environment": f"env -i sh -c 'echo $$; {SLEEP}' & wait",
    "orphan": f"(setsid env -i setsid sh -c 'echo $$; {SLEEP}' &); sleep 1000",
}


@pytest.mark.parametrize("script", INHERITS.values(), ids=INHERITS)
def test_mark_is_inherited(cleanup: ExitStack, script: str) -> None:
    assert marks.read(run(cleanup, "sh", "-c", script)) == MARK


@needs_root
def test_mark_is_inherited_through_a_change_of_user(cleanup: ExitStack) -> None:
    script = f"su nobody -s /bin/sh -c 'setsid sh -c \"echo \\$\\$; {SLEEP}\"'"
    assert marks.read(run(cleanup, "sh", "-c", script)) == MARK


@needs_root
def test_mark_can_not_be_raised_without_privilege(cleanup: ExitStack) -> None:
    script = f"prlimit --msgqueue=819200:819200 --pid $$ 2>/dev/null; echo $$; {SLEEP}"
    pid = run(cleanup, "setpriv", "--reuid=nobody", "--clear-groups", "sh", "-c", script)
    assert marks.read(pid) == MARK


def test_mark_of_another_user_is_read_from_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = marks.read(os.getpid())
    assert expected == resource.getrlimit(resource.RLIMIT_MSGQUEUE)

    def refuse(*arguments: object) -> None:
        raise PermissionError

    monkeypatch.setattr(marks.resource, "prlimit", refuse)
    assert marks.read(os.getpid()) == expected
    child = subprocess.Popen(["prlimit", "--msgqueue=5000:6000", "sleep", "1000"])
    try:
        eventually(lambda: marks.read(child.pid) == Mark(5000, 6000))
    finally:
        child.kill()
        child.wait()
    assert marks.read(child.pid) is None


def test_process_that_has_ended_has_no_mark() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    assert marks.read(child.pid) is None


# Giving them out


def test_marks_are_distinct_and_tell_their_supervisord() -> None:
    given = Marks()
    taken = [given.take(is_root=number % 2 == 0) for number in range(1000)]
    assert len({mark.hard for mark in taken if mark}) == 1000
    [stack] = {mark.hard - mark.soft for mark in taken if mark}
    assert stack > 0
    others = {Marks()._stack for _ in range(20)}
    assert len(others) > 1


@pytest.mark.parametrize("is_root", [True, False])
def test_supervisords_begin_with_different_numbers(is_root: bool) -> None:
    """So two that have drawn the same number for themselves don't take each other's processes."""
    first = [mark.hard for _ in range(100) if (mark := Marks().take(is_root=is_root))]
    assert len(set(first)) > 50


def test_no_mark_of_root_can_be_reached_from_above_by_others() -> None:
    """A limit can only be lowered, and the marks of root are the highest."""
    given = Marks()
    of_root = [given.take(is_root=True) for _ in range(100)]
    of_others = [given.take(is_root=False) for _ in range(100)]
    assert min(mark.hard for mark in of_root if mark) > max(mark.hard for mark in of_others if mark)


@pytest.mark.parametrize("hard", [resource.RLIM_INFINITY, 819_200, 10_000_000])
def test_limit_above_the_default_counts_as_the_default(hard: int) -> None:
    mark = Marks(hard).take(is_root=True)
    assert mark is not None
    assert 0 < mark.soft < mark.hard < 819_200


@pytest.mark.parametrize("is_root", [True, False])
def test_mark_is_given_again_only_after_its_release(is_root: bool) -> None:
    given = Marks(4 * 256)
    assert given.are_usable
    taken = []
    while mark := given.take(is_root=is_root):
        taken.append(mark)
    assert len(taken) == len(set(taken)) == (127 if is_root else 128)
    assert all(0 < mark.soft < mark.hard for mark in taken)
    given.release(taken[5])
    assert given.take(is_root=is_root) == taken[5]
    assert given.take(is_root=is_root) is None
    assert given.take(is_root=not is_root) is not None


def test_mark_that_was_released_is_given_again_as_late_as_possible() -> None:
    given = Marks()
    first = given.take(is_root=True)
    assert first is not None
    given.release(first)
    assert given.take(is_root=True) != first


@pytest.mark.parametrize("hard", [0, 1, 1023])
def test_limit_without_room_gives_no_marks(hard: int) -> None:
    given = Marks(hard)
    assert not given.are_usable
    assert given.take(is_root=True) is None
    assert given.take(is_root=False) is None


@pytest.mark.parametrize(
    ("uid", "process", "covered"),
    [(0, 5, True), (5, 5, True), (5, 6, False), (5, 0, False), (5, None, False)],
)
def test_mark_counts_for_the_programs_user_only(uid: int, process: int | None, covered: bool) -> None:
    assert Claim(MARK, uid).covers(process) is covered
