"""Commands for test programs, and their processes as the kernel sees them."""

import contextlib
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import psutil

from daemon_programs.supervisor.processes.tree import children, identify
from tests.stack import Api, Stack, eventually

# It runs until it is stopped, in a single process, and ignores its arguments; and what it becomes.
LONG_RUNNING = "sh -c 'exec sleep 100000'"
BECOMES = "sleep 100000"
# It keeps its arguments, so that they can be read, and has a child.
KEEPS_ARGUMENTS = "sh -c 'sleep 100000; :'"


@cache
def can_mount(*more: str) -> bool:
    """Whether a test can make mounts of its own: it takes root, and neither a chroot nor most containers."""
    command = ["unshare", "--mount", *more, "sh", "-c", "mount -t tmpfs none /mnt"]
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


def python(code: str, *arguments: str) -> str:
    """The command line, a single line, that runs a piece of Python; arguments are in ``sys.argv[1:]``."""
    return shlex.join([sys.executable, "-c", f"exec({code!r})", *arguments])


def shell(script: str, *arguments: str) -> str:
    """The command line that runs a shell script; arguments are its ``$1``, ``$2``..."""
    return shlex.join(["sh", "-c", script, "sh", *arguments])


def started(api: Api, id: int, port: int | None = None) -> int:
    """Start a program and wait until its own process is there, past the fork: its pid."""
    api.ok(f"programs/{id}/start", {} if port is None else {"port": port})

    def pid() -> int | None:
        answer = api.status(id) if port is None else api.status(id, port=port)
        return answer["status" if port is None else "instance"].get("pid")

    return eventually(lambda: (found := pid()) and is_past_exec(found, id) and found)


def is_past_exec(pid: int, id: int) -> bool:
    return environment(pid).get(b"SUPERVISOR_GROUP_NAME") == f"program-{id}".encode()


def arguments(pid: int) -> list[bytes]:
    """What the process was given as its arguments, the program's name first."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]


def environment(pid: int) -> dict[bytes, bytes]:
    """What the process was given as its environment."""
    with contextlib.suppress(OSError):
        pairs = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")[:-1]
        return dict(pair.split(b"=", 1) for pair in pairs)
    return {}


def tree(stack: Stack, id: int) -> list[psutil.Process]:
    """Return the living processes of a program, orphans included."""
    return list(carriers(stack, f"program-{id}"))


def carriers(stack: Stack, group: str) -> Iterator[psutil.Process]:
    """Yield the processes with a group's mark or environment, once none is between fork and exec."""
    eventually(lambda: not any(map(_is_like_its_parent, _children(stack))))
    for process, owner in stack.owners().items():
        if owner.group == group and is_alive(process):
            yield process


def _children(stack: Stack) -> list[psutil.Process]:
    with contextlib.suppress(FileNotFoundError, psutil.Error):  # it may not run
        return [psutil.Process(pid) for pid in children(stack.supervisord_pid) if identify(pid)]
    return []


def _is_like_its_parent(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.cmdline() in ([], process.parent().cmdline())
    return False


def is_alive(process: psutil.Process) -> bool:
    """Return whether a process runs; zombies don't.

    An orphan of a killed supervisord stays a zombie where the container's init does not reap it.
    """
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def is_root() -> bool:
    return os.geteuid() == 0
