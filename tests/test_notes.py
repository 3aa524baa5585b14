"""Notes of started processes."""

import os
import subprocess
from pathlib import Path

import pytest

from daemon_programs.supervisor.processes import notes
from daemon_programs.supervisor.processes.marks import Claim, Mark
from daemon_programs.supervisor.processes.notes import Note, Owner
from daemon_programs.supervisor.processes.tree import Identity, identify

WEB, PORT = Owner("program-1", "program-1"), Owner("program-2", "8000")
CLAIM = Claim(Mark(100, 200), 33)


def own() -> Identity:
    identity = identify(os.getpid())
    assert identity
    return identity


@pytest.mark.parametrize("claim", [CLAIM, None])
def test_note_is_read_as_it_was_written(tmp_path: Path, claim: Claim | None) -> None:
    notes.write(str(tmp_path), WEB, os.getpid(), claim)
    notes.write(str(tmp_path), PORT, os.getpid())
    assert set(notes.read(str(tmp_path))) == {Note(WEB, own(), claim), Note(PORT, own(), None)}


def test_later_note_takes_the_place_of_the_first(tmp_path: Path) -> None:
    notes.write(str(tmp_path), WEB, os.getpid(), CLAIM)
    notes.write(str(tmp_path), WEB, os.getpid())
    assert list(notes.read(str(tmp_path))) == [Note(WEB, own(), None)]


def test_process_is_announced_by_its_mark_before_there_is_one(tmp_path: Path) -> None:
    notes.announce(str(tmp_path), WEB, CLAIM)
    assert list(notes.read(str(tmp_path))) == [Note(WEB, Identity(0, 0), CLAIM)]
    notes.write(str(tmp_path), WEB, os.getpid(), CLAIM)
    assert list(notes.read(str(tmp_path))) == [Note(WEB, own(), CLAIM)]


def test_process_that_has_ended_at_once_is_noted_for_its_descendants(tmp_path: Path) -> None:
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    notes.write(str(tmp_path), WEB, child.pid, CLAIM)
    child.wait()
    [note] = notes.read(str(tmp_path))
    assert note.claim == CLAIM
    notes.write(str(tmp_path), PORT, child.pid)  # and nothing is there of it any more
    assert len(list(notes.read(str(tmp_path)))) == 1


def test_note_is_forgotten_once(tmp_path: Path) -> None:
    notes.write(str(tmp_path), WEB, os.getpid())
    notes.forget(str(tmp_path), WEB)
    notes.forget(str(tmp_path), WEB)
    assert list(notes.read(str(tmp_path))) == []


def test_folder_among_the_notes_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "program-9:program-9").mkdir()
    notes.write(str(tmp_path), WEB, os.getpid())
    assert [note.owner for note in notes.read(str(tmp_path))] == [WEB]
