"""The stack's own terminal goes away: the stack ends in order, or goes on."""

import contextlib
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

from tests.processes import LONG_RUNNING, started
from tests.stack import PROJECT, Stack, eventually


class Terminal:
    """A terminal with a stack in its foreground, as a person starts it."""

    def __init__(self, stack: Stack, *prefix: str) -> None:
        stack.make_database()
        self.master, slave = pty.openpty()
        code = "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
        code += "os.execvp(sys.argv[1], sys.argv[1:])"
        run = [*prefix, sys.executable, "manage.py", "run_stack"]
        stack.process = self.process = subprocess.Popen(
            [sys.executable, "-c", code, *run],
            cwd=PROJECT,
            env=stack.env,
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        os.close(slave)
        self.stack = stack

    def read_until_up(self) -> str:
        """What is printed until the API is ready."""
        os.set_blocking(self.master, False)
        seen = bytearray()

        def is_up() -> bool:
            with contextlib.suppress(BlockingIOError):
                seen.extend(os.read(self.master, 65536))
            assert self.process.poll() is None, seen.decode()
            return b"ready: " in seen

        eventually(is_up, 60, "the stack is up")
        return seen.decode()

    def hang_up(self) -> None:
        os.close(self.master)


def log(stack: Stack) -> str:
    return (stack.folder / "stack-logs" / "supervisord.log").read_text()


def test_stack_ends_in_order_when_its_terminal_hangs_up(own_stack: Stack) -> None:
    terminal = Terminal(own_stack)
    terminal.read_until_up()
    api = own_stack.api
    started(api, api.add(LONG_RUNNING))
    terminal.hang_up()
    assert terminal.process.wait(60) == 0
    assert own_stack.processes() == []
    assert "the terminal has hung up: the stack ends" in log(own_stack)
    assert not (own_stack.folder / "supervisord.pid").exists()


def test_stack_that_ignores_hangups_goes_on(own_stack: Stack) -> None:
    """``nohup``, and output that leads nowhere afterwards."""
    terminal = Terminal(own_stack, "sh", "-c", 'trap "" HUP; exec "$@"', "sh")
    terminal.read_until_up()
    api = own_stack.api
    id = api.add(LONG_RUNNING)
    pid = started(api, id)
    terminal.hang_up()
    os.kill(own_stack.supervisord_pid, signal.SIGHUP)
    for _ in range(3):  # each of which prints
        started(api, api.add(LONG_RUNNING))
    assert api.pid(id) == pid
    assert own_stack.stop() == 0
    assert own_stack.processes() == []


def test_stack_whose_output_is_read_no_more_goes_on(own_stack: Stack) -> None:
    """``make run | tee log``, and ``tee`` is ended."""
    own_stack.make_database()
    reader, writer = os.pipe()
    own_stack.process = subprocess.Popen(
        [sys.executable, "manage.py", "run_stack"],
        cwd=PROJECT,
        env=own_stack.env,
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=writer,
    )
    os.close(writer)
    eventually(own_stack._is_up, 60)
    os.close(reader)
    api = own_stack.api
    for _ in range(3):
        started(api, api.add(LONG_RUNNING))
    assert own_stack.stop() == 0
    assert own_stack.processes() == []


def test_hangup_by_hand_restarts_everything(own_stack: Stack) -> None:
    api = own_stack.start().api
    id = api.add(LONG_RUNNING, boot=True)
    pid = api.until(id, "running")["status"]["pid"]
    os.kill(own_stack.supervisord_pid, signal.SIGHUP)
    assert eventually(lambda: _pid(own_stack, id) not in (None, pid), 60)
    assert own_stack.process is not None
    assert own_stack.process.poll() is None


def _pid(stack: Stack, id: int) -> int | None:
    with contextlib.suppress(OSError, AssertionError):
        return stack.api.pid(id)
    return None


def test_start_shows_nothing_alarming(own_stack: Stack) -> None:
    own_stack.start()
    assert "CRIT" not in log(own_stack)
    assert "authentication" not in own_stack.output.read_text()


def test_supervisorctl_shows_programs_by_name(own_stack: Stack) -> None:
    api = own_stack.start().api
    one = api.add(LONG_RUNNING, name="日本 \u202e %s")
    started(api, one)
    api.until(one, "running")
    many = api.add("sleep 1000 {port}", name="ports", port_range={"start": 64000, "end": 64001})
    tool = Path(sys.executable).with_name("supervisorctl")
    configuration = own_stack.folder / "supervisord.conf"
    ran = subprocess.run([tool, "-c", configuration, "status"], capture_output=True, text=True)
    lines = {line.split()[0]: line.split(maxsplit=2) for line in ran.stdout.splitlines()}
    assert lines[f"program-{one}"][1] == "RUNNING"
    assert lines[f"program-{one}"][2].startswith("日本 \\u202e %s: pid ")
    assert lines[f"program-{many}:64000"][2].startswith("ports: ")
    assert lines["api"][2].startswith("pid ")
