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
from functools import cached_property
from typing import Any

from daemon_programs.supervisor.filesystem import env_files
from daemon_programs.supervisor.processes import marks, resources, signals
from daemon_programs.supervisor.processes.marks import Mark

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class Command:
    """The command of a probe; ``runs`` says how it is run."""

    def __init__(self, argv: list[str], runs: dict[str, Any] | None) -> None:
        self._argv = argv
        self._runs = runs or {}

    async def succeeds(self) -> str:
        """Run it; return why it was no success, or an empty text. All its processes are ended."""
        try:
            process = self._start()
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
            return f"its command was ended by {signals.name_of(-code)}"
        return f"its command ended with exit code {code}" if code else ""

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._runs["directory"],
            env=self._environment,
            umask=self._runs["umask"],
            start_new_session=True,
            preexec_fn=self._preparation,  # noqa: PLW1509  # there is only one thread
        )

    @cached_property
    def _environment(self) -> dict[str, str]:
        return {**self._runs["inherited"], **self._runs["variables"]}

    @cached_property
    def _preparation(self) -> Callable[[], None]:
        """What the child does before it becomes the command.

        Made once, since it takes time to look up a user. The process that is probed has the groups that its
        user had at its start, too.
        """
        runs, argv, environment = self._runs, self._argv, self._environment
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


def _account(name: str) -> tuple[int, int, list[int]] | None:
    """Return the user, the group and all groups of a command; None if they are those of this process."""
    account = pwd.getpwnam(name)
    if os.geteuid() == account.pw_uid:
        return None
    return account.pw_uid, account.pw_gid, os.getgrouplist(name, account.pw_gid)


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
