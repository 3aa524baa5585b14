"""Programs that daemonise, change session, environment or user: nothing escapes its program."""

import itertools
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.drills import ROUNDS
from tests.processes import is_root, shell
from tests.stack import OWN_USER, Stack, eventually

PHP_FPM = next((path for path in map(str, Path("/usr/sbin").glob("php-fpm*"))), None)

_FORK_SETSID_FORK_EXEC = (
    "use POSIX; if (!fork) { POSIX::setsid(); if (!fork) { %ENV = (); exec 'sleep', '{token}' } exit } "
    "sleep 1 while 1"
)

# How each leaves its parent; what it needs; and whether its own process lives on.
KINDS = {
    "env -i setsid": "env -i setsid sleep {token}",
    "background of an empty environment": (
        "bash -c " + shlex.quote("nohup setsid bash -c 'env -i setsid sleep {token}' & sleep 1.5")
    ),
    "fork, setsid, fork, exec": shlex.join(["perl", "-e", _FORK_SETSID_FORK_EXEC]),
    "orphan of an orphan": shell("(env -i setsid sh -c 'env -i setsid sleep {token} & exit' &); sleep 1"),
    "other user": "su - nobody -s /bin/bash -c 'setsid sleep {token} &'",
    "nginx": "nginx -c {folder}/nginx.conf",
    "php-fpm": f"{PHP_FPM} -D -y " + "{folder}/php-fpm.conf",
    "redis": "redis-server --daemonize yes --port 0 --unixsocket {folder}/redis.sock --dir {folder}",
    "gunicorn": "gunicorn --daemon --chdir {folder} -b unix:{folder}/gunicorn.sock application:application",
}
NEEDS = {"nginx": "nginx", "redis": "redis-server", "php-fpm": PHP_FPM or "php-fpm", "gunicorn": None}

_NGINX = """daemon on; pid {folder}/nginx.pid; error_log /dev/null; worker_processes 2;
events {{}} http {{ access_log off; client_body_temp_path {folder}/a; proxy_temp_path {folder}/b;
fastcgi_temp_path {folder}/c; uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
server {{ listen unix:{folder}/nginx.sock; }} }}"""
_PHP = """[global]
pid = {folder}/php-fpm.pid
error_log = /dev/null
[www]
{user}
listen = {folder}/php-fpm.sock
pm = static
pm.max_children = 2
"""
_APPLICATION = """try:
    import setproctitle; setproctitle.setproctitle("renamed {token}")
except ImportError: pass
def application(environ, start_response): start_response("200 OK", []); return [b""]
"""


class Program:
    """A program of a kind, with a folder and a number that its processes are told by."""

    numbers = itertools.count(800_000_000 + os.getpid() * 10)

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.token = str(next(self.numbers))
        self.folder = folder
        folder.mkdir()
        owner = "user = www-data\ngroup = www-data" if is_root() else ""
        (folder / "nginx.conf").write_text(_NGINX.format(folder=folder))
        (folder / "php-fpm.conf").write_text(_PHP.format(folder=folder, user=owner))
        (folder / "application.py").write_text(_APPLICATION.format(token=self.token))
        command = KINDS[kind].replace("{folder}", str(folder)).replace("{token}", self.token)
        if kind == "gunicorn":
            gunicorn = shutil.which("gunicorn", path=str(Path(sys.executable).parent))
            command = command.replace("gunicorn", str(gunicorn), 1)
        self.command = command

    def owns(self, process: psutil.Process, words: str) -> bool:
        """Return whether a process with this command line is of this program."""
        return self.token in words or str(self.folder) in words or _works_in(process, words, self.folder)


def is_here(kind: str) -> bool:
    """Return whether the program of a kind is installed and can be run by this user."""
    if kind == "other user":
        return is_root()
    needed = NEEDS.get(kind)
    return not needed or shutil.which(needed) is not None


def left(programs: list[Program]) -> dict[str, list[psutil.Process]]:
    """Return the living processes by the kind of their program."""
    found: dict[str, list[psutil.Process]] = {}
    for process in psutil.process_iter():
        try:
            words = " ".join(process.cmdline())
            owners = [program for program in programs if program.owns(process, words)]
            if owners and process.status() != psutil.STATUS_ZOMBIE and process.pid != os.getpid():
                found.setdefault(owners[0].kind, []).append(process)
        except psutil.Error:
            continue
    return found


def _works_in(process: psutil.Process, words: str, folder: Path) -> bool:
    """Return whether a daemon of ours has renamed itself: nginx's and php-fpm's workers, gunicorn."""
    names = ("nginx", "php-fpm", "gunicorn", "redis")
    if not any(name in process.name() for name in names) and "renamed" not in words:
        return False
    try:
        links = {Path(link).readlink() for link in Path(f"/proc/{process.pid}/fd").iterdir()}
    except OSError:
        return False
    return any(str(link).startswith(str(folder)) for link in links) or process.cwd() == str(folder)


UNPRIVILEGED = ["unshare", "--user", "--map-user=65534", "--map-group=65534"]
NEEDS_ROOT = ("other user", "php-fpm")


@pytest.mark.parametrize("round", range(ROUNDS))
def test_nothing_is_left_of_a_program(own_stack: Stack, tmp_path: Path, round: int) -> None:
    """After a stop, after a removal, after the stack's end, and after its supervisord was killed."""
    check_that_nothing_is_left(own_stack, programs_of(KINDS, tmp_path), OWN_USER)


@pytest.mark.parametrize("round", range(ROUNDS))
def test_nothing_is_left_of_a_program_without_root(own_stack: Stack, tmp_path: Path, round: int) -> None:
    """The same in a user namespace, where the stack has no privilege at all."""
    if subprocess.run([*UNPRIVILEGED, "true"], check=False, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("user namespaces can't be made here")
    if is_root():
        own_stack.prefix = UNPRIVILEGED
    kinds = [kind for kind in KINDS if kind not in NEEDS_ROOT]
    check_that_nothing_is_left(own_stack, programs_of(kinds, tmp_path), "nobody" if is_root() else OWN_USER)


def programs_of(kinds: Iterable[str], folder: Path) -> list[Program]:
    return [Program(kind, folder / str(n)) for n, kind in enumerate(filter(is_here, kinds))]


def check_that_nothing_is_left(own_stack: Stack, programs: list[Program], user: str) -> None:
    api = own_stack.start().api

    def add() -> list[int]:
        fields = {"user": user, "directory": "/", "autorestart": "false", "stop_grace_seconds": 5}
        return [api.add(program.command, **fields) for program in programs]

    def has_run(id: int, program: Program) -> bool:
        return bool(left([program])) or api.word(id) == "exited"

    def run() -> None:
        for id in ids:
            api.ok(f"programs/{id}/start")
        for id, program in zip(ids, programs, strict=True):
            eventually(partial(has_run, id, program), 20)

    ids = add()
    run()
    for id in ids:
        api.ok(f"programs/{id}/stop")
    eventually(lambda: not left(programs), 5)
    run()
    for id in ids:
        api.ok(f"programs/remove/{id}")
    eventually(lambda: not left(programs), 5)
    ids = add()
    run()
    assert own_stack.stop() == 0
    assert left(programs) == {}
    own_stack.start()
    run()
    os.kill(own_stack.supervisord_pid, signal.SIGKILL)
    assert own_stack.process
    own_stack.process.wait(30)
    own_stack.start()
    assert left(programs) == {}
