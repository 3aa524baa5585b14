"""The end of a process tree, step by step, on real processes."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from daemon_programs.supervisor.plugin.programs.runs import ending
from daemon_programs.supervisor.plugin.programs.runs.ending import LOOK_AGAIN_SECONDS, Ending
from daemon_programs.supervisor.processes.tree import identify
from tests.processes import is_root
from tests.stack import eventually

NOTES = "for each in TERM HUP; do trap \"echo $each $1 >> '{told}'; {then}\" $each; done; "
WAITS = "echo ready >> '{told}'; while :; do sleep 0.02; done"


class Tree:
    """A program's process and others that it has left behind, all of them children of the test."""

    def __init__(self, told: Path, cleanup: ExitStack) -> None:
        self.told = told
        self.cleanup = cleanup
        self.main: subprocess.Popen[bytes] | None = None
        self.orphans: list[subprocess.Popen[bytes]] = []

    def run(self, name: str, then: str = "exit 0") -> subprocess.Popen[bytes]:
        """A process that notes by which signals it is asked, and then does so and so."""
        count = self.words().count("ready")
        text = (NOTES + WAITS).replace("{told}", str(self.told)).replace("{then}", then)
        child = subprocess.Popen(["sh", "-c", text, "sh", name])
        self.cleanup.callback(child.wait)
        self.cleanup.callback(child.kill)
        eventually(lambda: self.words().count("ready") > count)
        return child

    def words(self) -> list[str]:
        lines = self.told.read_text().splitlines() if self.told.exists() else []
        return [line.removeprefix("TERM ") for line in lines]

    def asked(self) -> list[str]:
        return [word for word in self.words() if word != "ready"]

    def end(self, kill_in: float = 60, tree_in: float = 50, *, hangs_up: bool = False) -> Ending:
        now = time.monotonic()
        return Ending(
            main=lambda: self.main.pid if self.main and self.main.poll() is None else 0,
            orphans=lambda: [each.pid for each in self.orphans if each.poll() is None],
            is_gone=lambda: all(each.poll() is not None for each in self.orphans),
            kill_at=now + kill_in,
            tree_at=now + tree_in,
            hangs_up=hangs_up,
        )


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    with ExitStack() as cleanup:
        yield Tree(tmp_path / "told", cleanup)


def finish(end: Ending, timeout: float = 10) -> float:
    """Take all steps when they are due; how long it takes."""
    begun = time.monotonic()
    while (due := end.step(time.monotonic())) is not None:
        assert time.monotonic() - begun < timeout
        time.sleep(min(max(due - time.monotonic(), 0.001), 0.05))
    return time.monotonic() - begun


def test_only_the_process_itself_is_asked_at_first(tree: Tree) -> None:
    tree.main, tree.orphans = tree.run("main", ":"), [tree.run("orphan")]
    end = tree.end()
    end.ask_main()
    eventually(lambda: tree.asked() == ["main"])
    assert end.step(time.monotonic()) == end.tree_at
    time.sleep(0.2)
    assert tree.asked() == ["main"]


def test_rest_is_asked_when_the_process_itself_has_ended(tree: Tree) -> None:
    tree.main, tree.orphans = tree.run("main"), [tree.run("orphan")]
    end = tree.end()
    end.ask_main()
    tree.main.wait()
    assert finish(end) < 5
    assert tree.asked() == ["main", "orphan"]
    assert tree.orphans[0].returncode == 0


def test_whole_tree_is_asked_at_its_time_and_each_once(tree: Tree) -> None:
    tree.main, tree.orphans = tree.run("main", ":"), [tree.run("orphan", ":")]
    end = tree.end(tree_in=0.5, kill_in=1.5)
    end.ask_main()
    eventually(lambda: tree.asked() == ["main"])
    assert 1.4 <= finish(end) < 4
    assert tree.asked() == ["main", "orphan"]


def test_everything_is_killed_at_its_time(tree: Tree) -> None:
    tree.main, tree.orphans = tree.run("main", ":"), [tree.run("orphan", ":")]
    took = finish(tree.end(tree_in=0, kill_in=0.5))
    assert 0.5 <= took < 3
    assert tree.main.returncode == tree.orphans[0].returncode == -9
    assert sorted(tree.asked()) == ["main", "orphan"]


def test_nothing_is_asked_without_a_grace_period(tree: Tree) -> None:
    tree.main, tree.orphans = tree.run("main"), [tree.run("orphan")]
    finish(tree.end(tree_in=0, kill_in=0))
    assert tree.asked() == []


def test_terminal_is_hung_up_too(tree: Tree) -> None:
    tree.main = tree.run("main", ":")
    finish(tree.end(tree_in=0, kill_in=2, hangs_up=True))
    assert sorted(tree.asked()) == ["HUP main", "main"]


def test_process_that_is_suspended_goes_on(tree: Tree) -> None:
    tree.main = tree.run("main")
    psutil.Process(tree.main.pid).suspend()
    end = tree.end()
    end.ask_main()
    tree.main.wait(5)
    assert tree.asked() == ["main"]


def test_process_that_is_made_meanwhile_is_asked_too(tree: Tree) -> None:
    tree.orphans = [tree.run("orphan", ":")]
    end = tree.end(tree_in=0, kill_in=2)
    end.step(time.monotonic())
    eventually(lambda: tree.asked() == ["orphan"])
    tree.orphans.append(tree.run("later"))
    finish(end)
    assert tree.asked() == ["orphan", "later"]


def test_step_of_a_large_tree_is_limited(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "_STEP_SECONDS", 0.0)
    tree.orphans = [subprocess.Popen(["sleep", "1000"]) for _ in range(20)]
    end = tree.end(tree_in=0)
    now = time.monotonic()
    steps = 1
    while end.step(now) == now:
        steps += 1
    assert steps >= 20
    for each in tree.orphans:
        each.wait(5)


def test_walk_that_has_begun_is_given_up_when_the_time_is_over(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "_STEP_SECONDS", 0.0)
    tree.orphans = [tree.run(f"orphan {number}", ":") for number in range(3)]
    end = tree.end(tree_in=0)
    assert end.step(now := time.monotonic()) == now
    eventually(lambda: len(tree.asked()) == 1)
    end.kill_at = time.monotonic()
    finish(end)
    assert [each.returncode for each in tree.orphans] == [-9] * 3
    assert len(tree.asked()) == 1


def test_next_look_waits_longer_after_one_that_took_long(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    tree.orphans = [tree.run("orphan", ":")]
    end = tree.end(tree_in=0)
    now = time.monotonic()
    assert end.step(now) == pytest.approx(now + LOOK_AGAIN_SECONDS, abs=0.05)
    monkeypatch.setattr(ending, "_signal", lambda *arguments: time.sleep(0.05))
    end = tree.end(tree_in=0)
    now = time.monotonic()
    due = end.step(now)
    if due == now:  # the step itself was over its limit
        due = end.step(now)
    assert due is not None
    assert due >= now + 0.4


def test_process_that_has_ended_by_itself_needs_no_step(tree: Tree) -> None:
    assert tree.end().step(time.monotonic()) is None
    tree.main = tree.run("main")
    tree.main.kill()
    tree.main.wait()
    tree.end().ask_main()  # no error
    assert identify(os.getpid())


@pytest.mark.skipif(not is_root(), reason="it takes root to become another user")
def test_process_that_may_not_be_signalled_keeps_no_other_from_it(tree: Tree) -> None:
    """A stack without privilege may not signal a set-uid program, nor may it signal its child."""
    tree.orphans = [tree.run("first"), tree.run("second")]
    pids = [each.pid for each in tree.orphans]
    child = os.fork()
    if not child:
        try:
            os.setgid(65534)
            os.setuid(65534)
            end = tree.end(tree_in=0, kill_in=0.1)
            end.orphans, end.is_gone = lambda: pids, lambda: False  # they aren't this process' children
            begun = time.monotonic()
            while time.monotonic() - begun < 0.3:
                end.step(time.monotonic())
            os._exit(0)
        finally:
            os._exit(99)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [each.poll() for each in tree.orphans] == [None, None]
