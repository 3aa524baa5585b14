"""``terminal_shell: "tmux"``: a shared session that people attach to."""

import hashlib
import os
import pty
import select
import shlex
import shutil
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.processes import BECOMES, LONG_RUNNING, is_root, python, shell, started, tree
from tests.stack import OTHER_USER, Api, Stack, eventually
from tests.terminal_programs import TerminalPrograms

pytestmark = pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is not installed")


@pytest.fixture
def terminals(api: Api, tmp_path: Path) -> TerminalPrograms:
    return TerminalPrograms(api, tmp_path)


def test_folder_that_its_program_has_filled_holds_up_no_stop(api: Api, stack: Stack) -> None:
    nest = "import os, time; os.chdir(os.path.dirname(os.environ['TMUX'].split(',')[0]))\n"
    nest += "for _ in range(3000): os.mkdir('d'); os.chdir('d')\n"
    nest += "print('nested', flush=True); time.sleep(1000)"
    id = api.add(python(nest), terminal_id=77, terminal_shell="tmux", stop_grace_seconds=1)
    started(api, id)
    eventually(lambda: "nested" in api.logs(id), 30)
    folder = Path(shlex.split(api.status(id)["status"]["attach"])[2]).parent
    api.ok(f"programs/{id}/stop")
    assert api.word(id) == "stopped"
    eventually(lambda: not list(folder.parent.glob(f"{folder.name}*")), 30, "it is removed all the same")


class Person:
    """A user at a second terminal who types the command that the API shows."""

    def __init__(self, command: str) -> None:
        self.seen = b""
        self.screen, terminal = pty.openpty()
        self.process = subprocess.Popen(
            shlex.split(command),
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
            env={"PATH": os.environ["PATH"], "TERM": "xterm", "LANG": "C.UTF-8"},
        )
        os.close(terminal)

    def __enter__(self) -> "Person":
        return self

    def __exit__(self, *problem: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.screen)

    def type(self, line: str) -> None:
        os.write(self.screen, f"{line}\r".encode())

    def sees(self, text: str) -> bool:
        while select.select([self.screen], [], [], 0)[0]:
            try:
                self.seen += os.read(self.screen, 65536)
            except OSError:  # the other end is closed
                break
        return text.encode() in self.seen


def attach_command(terminals: TerminalPrograms, id: int) -> str:
    return str(eventually(lambda: terminals.api.status(id)["status"].get("attach")))


def ready(terminals: TerminalPrograms, id: int) -> Path:
    """Wait for the session of a started program: its socket."""
    socket = Path(shlex.split(attach_command(terminals, id))[2])
    eventually(lambda: tmux(socket, "has-session").returncode == 0)
    return socket


def tmux(socket: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["tmux", "-S", socket, *arguments], capture_output=True, text=True, timeout=30)


def folder_of(stack: Stack) -> Path:
    """Where the sessions of a stack have their sockets."""
    if not is_root():
        return stack.folder / "terminals"
    return Path("/run/hoody-daemon") / hashlib.sha256(str(stack.folder).encode()).hexdigest()[:8]


def test_people_attach_type_and_their_output_is_in_the_log(terminals: TerminalPrograms, stack: Stack) -> None:
    id = terminals.add("tmux", "sh -i")
    started(terminals.api, id)
    socket = ready(terminals, id)
    with Person(attach_command(terminals, id)) as person:
        eventually(lambda: person.sees("#" if is_root() else "$"))
        person.type("echo $((6 * 7))-typed")
        eventually(lambda: person.sees("42-typed"))
        eventually(lambda: "42-typed" in terminals.api.logs(id))
        terminals.api.ok(f"programs/{id}/stop")
        person.process.wait(20)  # the session has ended for all users
    assert tree(stack, id) == []
    assert not socket.parent.exists()


def test_two_people_share_one_session(terminals: TerminalPrograms) -> None:
    id = terminals.add("tmux", "sh -i")
    started(terminals.api, id)
    ready(terminals, id)
    command = attach_command(terminals, id)
    with Person(command) as first, Person(command) as second:
        eventually(lambda: first.sees("terminal-") and second.sees("terminal-"))
        first.type("echo $((6 * 7))-shared")
        eventually(lambda: second.sees("42-shared"))


def test_detaching_does_not_end_the_program(terminals: TerminalPrograms) -> None:
    id = terminals.add("tmux", LONG_RUNNING)
    pid = started(terminals.api, id)
    socket = ready(terminals, id)
    with Person(attach_command(terminals, id)) as person:
        eventually(lambda: tmux(socket, "list-clients").stdout)
        person.process.terminate()
        person.process.wait(20)
    eventually(lambda: not tmux(socket, "list-clients").stdout)
    assert terminals.api.pid(id) == pid


def test_attach_command_is_shown_while_there_is_a_session(terminals: TerminalPrograms) -> None:
    id = terminals.add("tmux", LONG_RUNNING)
    number = terminals.api.get(f"programs/{id}").json()["program"]["terminal_id"]
    assert "attach" not in terminals.api.status(id)["status"]
    started(terminals.api, id)
    shown = shlex.split(attach_command(terminals, id))
    assert shown == ["tmux", "-S", shown[2], "attach", "-t", f"terminal-{number}"]
    terminals.api.ok(f"programs/{id}/stop")
    assert "attach" not in terminals.api.status(id)["status"]


def test_other_terminals_have_nothing_to_attach_to(terminals: TerminalPrograms) -> None:
    id = terminals.add("sh", LONG_RUNNING)
    started(terminals.api, id)
    assert "attach" not in terminals.api.status(id)["status"]


def test_stop_leaves_no_server_and_no_folder(terminals: TerminalPrograms, stack: Stack) -> None:
    ids = [terminals.add("tmux", LONG_RUNNING) for _ in range(2)]
    sockets = []
    for id in ids:
        started(terminals.api, id)
        sockets.append(ready(terminals, id))
    assert {socket.parent.parent for socket in sockets} == {folder_of(stack)}
    terminals.api.ok(f"programs/{ids[0]}/stop")
    assert not sockets[0].parent.exists()
    assert tmux(sockets[0], "has-session").returncode != 0
    assert tmux(sockets[1], "has-session").returncode == 0  # each has a server of its own
    terminals.api.ok(f"programs/{ids[1]}/stop")
    assert not folder_of(stack).exists()
    assert [process.name() for process in stack.processes() if "tmux" in process.name()] == []


def test_end_of_the_command_ends_the_session(terminals: TerminalPrograms, stack: Stack) -> None:
    id = terminals.run("tmux", shell("echo END; exit 3"))
    assert terminals.api.until(id, "exited")["last_run"]["exit_code"] == 3
    eventually(lambda: tree(stack, id) == [])
    eventually(lambda: not folder_of(stack).exists())


def test_failure_of_the_command_is_one_of_the_program(terminals: TerminalPrograms) -> None:
    id = terminals.run("tmux", shell("echo END; sleep 2; exit 3"), autorestart="unexpected")
    first = terminals.api.pid(id)
    eventually(lambda: (pid := terminals.api.pid(id)) and pid != first, 20)


def test_server_that_is_killed_ends_the_program(terminals: TerminalPrograms, stack: Stack) -> None:
    id = terminals.add("tmux", LONG_RUNNING)
    started(terminals.api, id)
    socket = ready(terminals, id)
    tmux(socket, "kill-server")
    assert terminals.api.until(id, "exited")["last_run"]["exit_code"] == 1
    eventually(lambda: tree(stack, id) == [])


@pytest.mark.parametrize("then", ["true", "exit 0"], ids=["its client fails", "its client says nothing"])
def test_server_that_is_killed_before_its_output_is_read_ends_the_program(
    terminals: TerminalPrograms, stack: Stack, then: str
) -> None:
    installed = shutil.which("tmux")
    deadly = terminals.home / "tmux"
    deadly.write_text(
        f'#!/bin/sh\ncase "$*" in *pipe-pane*) {installed} -S "$2" kill-server; {then} ;; esac\n'
        f'exec {installed} "$@"\n'
    )
    deadly.chmod(0o755)
    id = terminals.add("tmux", LONG_RUNNING, environment={"PATH": f"{terminals.home}:{os.environ['PATH']}"})
    terminals.api.ok(f"programs/{id}/start")
    assert terminals.api.until(id, "exited")["last_run"]["exit_code"] == 1
    eventually(lambda: tree(stack, id) == [])


def test_interactive_true_keeps_the_session_after_the_command(terminals: TerminalPrograms) -> None:
    id = terminals.run("tmux", shell("echo END"), terminal_interactive=True)
    socket = ready(terminals, id)
    tmux(socket, "send-keys", "echo $((6 * 7))-later", "Enter")
    eventually(lambda: "42-later" in terminals.api.logs(id))
    assert terminals.api.until(id, "running")


@pytest.mark.skipif(not is_root(), reason="only root runs programs as others")
def test_session_belongs_to_the_user_of_the_program(terminals: TerminalPrograms) -> None:
    id = terminals.add("tmux", "sh -i", user=OTHER_USER, directory="/", terminal_interactive=True)
    started(terminals.api, id)
    socket = ready(terminals, id)
    assert socket.parent.owner() == socket.owner() == OTHER_USER
    assert socket.parent.stat().st_mode & 0o777 == 0o700
    # a user whose login shell is none has a shell all the same
    tmux(socket, "send-keys", "exit", "Enter")
    tmux(socket, "send-keys", "echo $((6 * 7))-$(id -un)", "Enter")
    eventually(lambda: f"42-{OTHER_USER}" in terminals.api.logs(id))


def test_not_a_line_of_much_output_is_lost(terminals: TerminalPrograms) -> None:
    id = terminals.run("tmux", shell("seq 1 50000; echo END"), log_max_bytes=0)
    terminals.api.until(id, "exited")
    log = Path(terminals.api.get(f"programs/{id}/logs").json()["log_file"])
    assert log.read_text().split() == [*map(str, range(1, 50001)), "END"]


def test_process_that_stays_in_the_terminal_holds_up_no_end(terminals: TerminalPrograms) -> None:
    id = terminals.run("tmux", shell("trap '' HUP; sleep 1000 & echo END; exit 3"))
    assert terminals.api.until(id, "exited")["last_run"]["exit_code"] == 3


def test_restart_gives_a_new_session(terminals: TerminalPrograms) -> None:
    id = terminals.add("tmux", LONG_RUNNING)
    started(terminals.api, id)
    socket = ready(terminals, id)
    before = tmux(socket, "display-message", "-p", "#{pid}").stdout
    terminals.api.ok(f"programs/{id}/restart", {"wait": True})
    ready(terminals, id)
    after = tmux(socket, "display-message", "-p", "#{pid}").stdout
    assert before != after
    assert not psutil.pid_exists(int(before))


def test_edit_of_the_number_moves_the_session(terminals: TerminalPrograms, stack: Stack) -> None:
    id = terminals.add("tmux", LONG_RUNNING)
    started(terminals.api, id)
    old = ready(terminals, id)
    terminals.api.ok(f"programs/edit/{id}", {"terminal_id": 65000})
    new = ready(terminals, id)
    assert new == folder_of(stack) / "65000" / "socket"
    eventually(lambda: not old.parent.exists())


def test_stats_count_the_whole_session(terminals: TerminalPrograms) -> None:
    id = terminals.add("tmux", LONG_RUNNING)
    started(terminals.api, id)
    ready(terminals, id)
    commands = eventually(
        lambda: (
            (found := [each["command"] for each in terminals.api.status(id)["stats"]["processes"]])
            and BECOMES in found
            and found
        )
    )
    assert any(command.startswith("tmux ") for command in commands)


def test_stop_right_after_start_leaves_nothing(terminals: TerminalPrograms, stack: Stack) -> None:
    id = terminals.add("tmux", LONG_RUNNING)
    for _ in range(5):
        terminals.api.ok(f"programs/{id}/start")
        terminals.api.ok(f"programs/{id}/stop")
        assert tree(stack, id) == []
        assert not folder_of(stack).exists()
