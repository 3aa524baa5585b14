"""Run a command as a probe, as its program is run: with its user, folder, environment and limits."""

import asyncio
import contextlib
import ctypes
import os
import pwd
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable
from typing import Any

from daemon_programs.supervisor.filesystem import env_files
from daemon_programs.supervisor.processes import marks, resources
from daemon_programs.supervisor.processes.marks import Mark

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


async def succeeds(argv: list[str], runs: dict[str, Any] | None) -> str:
    """Run a command; return why it was no success, or an empty text. All its processes are ended."""
    if runs is None:
        return "its command can't be run"
    try:
        process = _start(argv, runs)
    except (OSError, subprocess.SubprocessError, KeyError, ValueError):
        return "its command can't be run"
    try:
        await _end_of(process)
    finally:
        # Not reaped yet, so the number of the group still belongs to it.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        # Not waited for: the kernel may delay an end. The next command that is run reaps it then.
        code = process.poll() or 0
    if code < 0:
        return f"its command was ended by {signal.Signals(-code).name}"
    return f"its command ended with exit code {code}" if code else ""


def _start(argv: list[str], runs: dict[str, Any]) -> subprocess.Popen[bytes]:
    environment = {**runs["inherited"], **runs["variables"]}
    return subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=runs["directory"],
        env=environment,
        umask=runs["umask"],
        start_new_session=True,
        preexec_fn=_preparation(runs, argv, environment),  # noqa: PLW1509  # there is only one thread
    )


def _account(name: str) -> tuple[int, int, list[int]] | None:
    """Return the user, the group and all groups of the command; None if they are those of this process."""
    account = pwd.getpwnam(name)
    if os.geteuid() == account.pw_uid:
        return None
    return account.pw_uid, account.pw_gid, os.getgrouplist(name, account.pw_gid)


def _preparation(runs: dict[str, Any], argv: list[str], environment: dict[str, str]) -> Callable[[], None]:
    """Return what the child does before it becomes the command."""
    account = _account(runs["user"])
    mark = runs["mark"] and Mark(*runs["mark"])

    def prepare() -> None:  # pragma: no cover  (in the child)
        if mark:  # what the command leaves behind belongs to the program
            marks.carry(mark)
        resource.setrlimit(resource.RLIMIT_NOFILE, runs["open_files"])
        resources.set_nice(runs["nice"])
        resources.make_room(runs["limits"])
        if account is not None:
            uid, gid, groups = account
            os.setgroups(groups)
            os.setgid(gid)
            os.setuid(uid)
        # After the change of the user, which would take it back.
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if runs["env_files"]:  # which only this user may read: their variables come too late for Popen
            variables = {**runs["inherited"], **env_files.read(runs["env_files"]), **runs["variables"]}
            filename = shutil.which(argv[0], path=environment["PATH"]) or argv[0]
            resources.limit(runs["limits"])
            os.execve(filename, argv, variables)
        resources.limit(runs["limits"])  # the last, since little may be possible after it

    return prepare


async def _end_of(process: subprocess.Popen[bytes]) -> None:
    """Wait until the process has ended, without reaping it."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    descriptor = os.pidfd_open(process.pid)
    try:
        loop.add_reader(descriptor, ended.set)
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
