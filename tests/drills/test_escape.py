"""Programs that daemonise, change session, environment or user: nothing escapes its program."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.drills import ROUNDS
from tests.processes import is_root, shell
from tests.stack import OWN_USER, Stack, eventually

TOKEN = str(800_000_000 + os.getpid())
PHP_FPM = next((path for path in map(str, Path("/usr/sbin").glob("php-fpm*"))), None)

_FORK_SETSID_FORK_EXEC = (
    "use POSIX; if (!fork) { POSIX::setsid(); if (!fork) { %ENV = (); exec 'sleep', '{token}' } exit } "
    "sleep 1 while 1"
).replace("{token}", TOKEN)

# How each leaves its parent; what it needs; and whether its own process lives on.
KINDS = {
    "env -i setsid": f"env -i setsid sleep {TOKEN}",
    "background of an empty environment": (
        "bash -c " + shlex.quote(f"nohup setsid bash -c 'env -i setsid sleep {TOKEN}' & sleep 1.5")
    ),
    "fork, setsid, fork, exec": shlex.join(["perl", "-e", _FORK_SETSID_FORK_EXEC]),
    "orphan of an orphan": shell(f"(env -i setsid sh -c 'env -i setsid sleep {TOKEN} & exit' &); sleep 1"),
    "other user": f"su - nobody -s /bin/bash -c 'setsid sleep {TOKEN} &'",
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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that the daemons need; each has its path among its arguments or files."""
    owner = "user = www-data\ngroup = www-data" if is_root() else ""
    (tmp_path / "nginx.conf").write_text(_NGINX.format(folder=tmp_path))
    (tmp_path / "php-fpm.conf").write_text(_PHP.format(folder=tmp_path, user=owner))
    (tmp_path / "application.py").write_text(_APPLICATION.format(token=TOKEN))
    return tmp_path


def command_of(kind: str, folder: Path) -> str:
    """Return the command of a kind; skip where its program is missing."""
    if kind == "other user" and not is_root():
        pytest.skip("only root may become another user without a password")
    needed = NEEDS.get(kind)
    if needed and not shutil.which(needed):
        pytest.skip(f"{needed} is not installed")
    command = KINDS[kind].replace("{folder}", str(folder))
    if kind == "gunicorn":
        gunicorn = shutil.which("gunicorn", path=str(Path(sys.executable).parent))
        command = command.replace("gunicorn", str(gunicorn), 1)
    return command


def left(folder: Path) -> Iterator[psutil.Process]:
    """Yield the living processes of these tests, whatever has become of their names and parents."""
    for process in psutil.process_iter():
        try:
            words = " ".join(process.cmdline())
            is_ours = TOKEN in words or str(folder) in words or _works_in(process, folder)
            if is_ours and process.status() != psutil.STATUS_ZOMBIE and process.pid != os.getpid():
                yield process
        except psutil.Error:
            continue


def _works_in(process: psutil.Process, folder: Path) -> bool:
    """Return whether a daemon of ours has renamed itself: nginx's and php-fpm's workers, gunicorn."""
    names = ("nginx", "php-fpm", "gunicorn", "redis")
    if not any(name in process.name() for name in names) and "renamed" not in " ".join(process.cmdline()):
        return False
    try:
        links = {Path(link).readlink() for link in Path(f"/proc/{process.pid}/fd").iterdir()}
    except OSError:
        return False
    return any(str(link).startswith(str(folder)) for link in links) or process.cwd() == str(folder)


UNPRIVILEGED = ["unshare", "--user", "--map-user=65534", "--map-group=65534"]
NEEDS_ROOT = ("other user", "php-fpm")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("round", range(ROUNDS))
def test_nothing_is_left_of_a_program(own_stack: Stack, folder: Path, kind: str, round: int) -> None:
    """After a stop, after a removal, after the stack's end, and after its supervisord was killed."""
    check_that_nothing_is_left(own_stack, command_of(kind, folder), folder, OWN_USER)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in NEEDS_ROOT])
@pytest.mark.parametrize("round", range(ROUNDS))
def test_nothing_is_left_of_a_program_without_root(
    own_stack: Stack, folder: Path, kind: str, round: int
) -> None:
    """The same in a user namespace, where the stack has no privilege at all."""
    if subprocess.run([*UNPRIVILEGED, "true"], check=False, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("user namespaces can't be made here")
    if is_root():
        own_stack.prefix = UNPRIVILEGED
    user = "nobody" if is_root() else OWN_USER
    check_that_nothing_is_left(own_stack, command_of(kind, folder), folder, user)


def check_that_nothing_is_left(own_stack: Stack, command: str, folder: Path, user: str) -> None:
    api = own_stack.start().api
    id = api.add(command, user=user, directory="/", autorestart="false", stop_grace_seconds=5)

    def run() -> None:
        api.ok(f"programs/{id}/start")
        eventually(lambda: any(left(folder)) or api.word(id) == "exited", 20)

    run()
    api.ok(f"programs/{id}/stop")
    eventually(lambda: not list(left(folder)), 5)
    run()
    api.ok(f"programs/remove/{id}")
    eventually(lambda: not list(left(folder)), 5)
    id = api.add(command, user=user, directory="/", autorestart="false", stop_grace_seconds=5)
    run()
    assert own_stack.stop() == 0
    assert list(left(folder)) == []
    own_stack.start()
    run()
    os.kill(own_stack.supervisord_pid, signal.SIGKILL)
    assert own_stack.process
    own_stack.process.wait(30)
    own_stack.start()
    assert list(left(folder)) == []
