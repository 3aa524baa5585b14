"""Whose an adopted child is. Here the children of the test stand for those that supervisord has adopted."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon_programs.supervisor.plugin import orphans
from daemon_programs.supervisor.plugin.orphans import Orphans
from daemon_programs.supervisor.processes import marks, notes
from daemon_programs.supervisor.processes.marks import Claim, Mark
from daemon_programs.supervisor.processes.notes import Owner
from daemon_programs.supervisor.processes.tree import children
from tests.processes import is_root
from tests.stack import eventually

WEB, QUEUE = Owner("program-1", "program-1"), Owner("program-2", "8000")
MARK, OTHER = Mark(400_000, 400_100), Mark(400_001, 400_101)
needs_root = pytest.mark.skipif(not is_root(), reason="it takes root to become another user")


class Adopted:
    """An ``Orphans``, and children that it sees."""

    def __init__(self, notes_folder: Path) -> None:
        self.own: dict[int, object] = dict.fromkeys(children(os.getpid()))
        self.orphans = Orphans(self.own, str(notes_folder))
        self.running: list[subprocess.Popen[bytes]] = []

    def child(self, mark: Mark | None = MARK, user: str | None = None) -> int:
        limits = ["prlimit", f"--msgqueue={mark.soft}:{mark.hard}"] if mark else []
        child = subprocess.Popen([*limits, "sleep", "1000"], user=user)
        self.running.append(child)
        eventually(lambda: mark is None or marks.read(child.pid) == mark)
        return child.pid

    def end(self, pid: int) -> None:
        """A child ends, and is reaped."""
        child = next(child for child in self.running if child.pid == pid)
        child.kill()
        child.wait()
        self.orphans.reap(pid)


@pytest.fixture
def adopted(tmp_path: Path) -> Iterator[Adopted]:
    adopted = Adopted(tmp_path)
    yield adopted
    for child in adopted.running:
        child.kill()
        child.wait()


def claim(mark: Mark = MARK, uid: int | None = None) -> Claim:
    return Claim(mark, os.geteuid() if uid is None else uid)


def test_child_belongs_to_the_owner_of_its_mark(adopted: Adopted) -> None:
    adopted.orphans.claim(claim(), WEB)
    adopted.orphans.claim(claim(OTHER), QUEUE)
    ours, others = sorted([adopted.child(), adopted.child()]), adopted.child(OTHER)
    assert adopted.orphans.of(WEB) == []  # as of the last look
    assert adopted.orphans.look()
    assert adopted.orphans.of(WEB) == ours
    assert adopted.orphans.of(QUEUE) == [others]
    assert adopted.orphans.unclaimed() == []


@pytest.mark.parametrize("mark", [None, OTHER], ids=["without a mark", "a mark of no program"])
def test_child_that_can_not_be_told_is_unclaimed(adopted: Adopted, mark: Mark | None) -> None:
    adopted.orphans.claim(claim(), WEB)
    pid = adopted.child(mark)
    adopted.orphans.look()
    assert adopted.orphans.unclaimed() == [pid]
    adopted.end(pid)
    assert adopted.orphans.unclaimed() == []
    assert adopted.orphans.reaped == 1


@needs_root
def test_mark_is_believed_of_the_programs_user_only(adopted: Adopted) -> None:
    adopted.orphans.claim(claim(uid=1), WEB)
    adopted.orphans.claim(claim(OTHER, uid=0), QUEUE)
    forged, own = adopted.child(user="nobody"), adopted.child(user="daemon")
    changed = adopted.child(OTHER, user="nobody")  # a program of root may become any user
    adopted.orphans.look()
    assert adopted.orphans.of(WEB) == [own]
    assert adopted.orphans.of(QUEUE) == [changed]
    assert adopted.orphans.unclaimed() == [forged]


def test_children_that_supervisord_has_started_are_none(adopted: Adopted) -> None:
    started, helper = adopted.child(), adopted.child(None)
    adopted.own[started] = object()
    adopted.orphans.expect_helper(helper)
    adopted.orphans.look()
    assert adopted.orphans.unclaimed() == []
    adopted.end(helper)


def test_mark_that_is_withdrawn_is_nobodys(adopted: Adopted) -> None:
    adopted.orphans.claim(claim(), WEB)
    adopted.orphans.withdraw(MARK, WEB)
    pid = adopted.child()
    adopted.orphans.look()
    assert (adopted.orphans.of(WEB), adopted.orphans.unclaimed()) == ([], [pid])


def test_owner_is_free_of_orphans_by_a_later_look_only(adopted: Adopted) -> None:
    adopted.orphans.claim(claim(), WEB)
    adopted.orphans.look()
    pid = adopted.child()
    assert not adopted.orphans.are_gone(WEB, time.monotonic())
    assert adopted.orphans.of(WEB) == [pid]
    ended_at = time.monotonic()
    adopted.end(pid)
    time.sleep(0.01)
    assert adopted.orphans.are_gone(WEB, ended_at)


def test_children_of_an_orphan_that_has_ended_are_looked_for(adopted: Adopted) -> None:
    adopted.orphans.claim(claim(), WEB)
    ended_at = time.monotonic()
    first = adopted.child()
    time.sleep(0.01)
    assert not adopted.orphans.are_gone(WEB, ended_at)
    heir = adopted.child()  # it was adopted when the first one has ended
    adopted.end(first)
    time.sleep(0.01)
    assert not adopted.orphans.are_gone(WEB, ended_at)
    assert adopted.orphans.of(WEB) == [heir]


def test_look_is_limited_and_goes_on_with_the_next(adopted: Adopted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orphans, "_MOST_PER_LOOK", 2)
    adopted.orphans.claim(claim(), WEB)
    pids = sorted(adopted.child() for _ in range(5))
    assert not adopted.orphans.look()
    assert len(adopted.orphans.of(WEB)) == 2
    assert not adopted.orphans.look()  # in the same turn: others have been served meanwhile
    assert len(adopted.orphans.of(WEB)) == 2
    assert not adopted.orphans.are_gone(WEB, 0.0)
    eventually(adopted.orphans.look, 1)
    assert adopted.orphans.of(WEB) == pids


def test_child_that_has_ended_before_its_turn_is_not_counted(
    adopted: Adopted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "_MOST_PER_LOOK", 1)
    adopted.orphans.claim(claim(), WEB)
    first, second = adopted.child(), adopted.child()
    adopted.orphans.look()
    left = ({first, second} - set(adopted.orphans.of(WEB))).pop()
    adopted.end(left)
    eventually(adopted.orphans.look, 1)
    assert left not in adopted.orphans.of(WEB)


def test_look_that_is_recent_enough_is_not_repeated(adopted: Adopted) -> None:
    adopted.orphans.claim(claim(), WEB)
    adopted.orphans.look()
    pid = adopted.child()
    assert adopted.orphans.of(WEB, at_most_every=60) == []
    assert adopted.orphans.of(WEB, at_most_every=0) == [pid]


def test_unclaimed_child_is_noted_until_it_has_ended(adopted: Adopted, tmp_path: Path) -> None:
    """The next start of the stack could not recognize it."""
    pid = adopted.child(OTHER)
    adopted.orphans.look()
    [note] = notes.read(str(tmp_path))
    assert (note.owner, note.identity.pid, note.claim) == (Owner("unclaimed", str(pid)), pid, None)
    adopted.end(pid)
    assert list(notes.read(str(tmp_path))) == []
