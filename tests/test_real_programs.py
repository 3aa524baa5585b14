"""Programs that people run: their own way to end is respected, and nothing of them is left."""

import pwd
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.processes import is_root
from tests.stack import OWN_USER, Api, Stack, eventually, temporary_folder

_POSTGRESQL = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)


def left(word: str) -> list[psutil.Process]:
    """Return the living processes that have a word in their command line, or work in a folder of it."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            if word in " ".join(process.cmdline()) or process.cwd().startswith(word):
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.mark.skipif(not _POSTGRESQL, reason="PostgreSQL is not installed")
def test_postgresql_finishes_a_query_before_it_ends(api: Api, stack: Stack) -> None:
    """SIGTERM to the server alone is its smart shutdown; to its children it would end their queries."""
    assert _POSTGRESQL
    user = "postgres" if is_root() else OWN_USER
    with temporary_folder() as folder:
        data = folder / "data"
        if is_root():
            shutil.chown(folder, user)
        run_as(user, str(_POSTGRESQL / "initdb"), "-D", str(data), "-A", "trust", "--no-sync")
        command = f"{_POSTGRESQL}/postgres -D {data} -k {folder} -c listen_addresses= -c fsync=off"
        id = api.add(command, user=user, directory="/", autorestart="false", stop_grace_seconds=60)
        api.ok(f"programs/{id}/start")
        eventually((folder / ".s.PGSQL.5432").exists, 30)
        psql = [str(_POSTGRESQL / "psql"), "-h", str(folder), "-U", user, "-d", "postgres", "-Atc"]
        eventually(lambda: subprocess.run([*psql, "select 1"], capture_output=True).returncode == 0, 30)
        with subprocess.Popen(
            [*psql, "select 'finished' from pg_sleep(3)"], stdout=subprocess.PIPE, text=True
        ) as client:
            eventually(lambda: "pg_sleep" in activity(psql))
            api.ok(f"programs/{id}/stop")
            assert client.stdout
            assert client.stdout.read().strip() == "finished"
        assert api.status(id)["status"]["status"] == "stopped"
        assert left(str(folder)) == []


def activity(psql: list[str]) -> str:
    query = "select query from pg_stat_activity where pid <> pg_backend_pid()"
    return subprocess.run([*psql, query], capture_output=True, text=True).stdout


def run_as(user: str, *command: str) -> None:
    account = pwd.getpwnam(user)
    as_user: dict[str, object] = {"user": account.pw_uid, "group": account.pw_gid} if is_root() else {}
    subprocess.run(command, check=True, capture_output=True, cwd="/", **as_user)  # type: ignore[call-overload]


@pytest.mark.skipif(not shutil.which("redis-server"), reason="redis is not installed")
def test_redis_saves_before_it_ends(api: Api, tmp_path: Path) -> None:
    command = f"redis-server --port 0 --unixsocket {tmp_path}/redis.sock --dir {tmp_path} --save '3600 1'"
    id = api.add(command, autorestart="false", stop_grace_seconds=30)
    api.ok(f"programs/{id}/start")
    ask_redis = talk_to(tmp_path / "redis.sock")
    assert ask_redis("SET key value\r\n") == b"+OK\r\n"
    api.ok(f"programs/{id}/stop")
    assert b"value" in (tmp_path / "dump.rdb").read_bytes()
    assert left(str(tmp_path)) == []


@pytest.mark.skipif(not shutil.which("redis-server"), reason="redis is not installed")
def test_redis_that_daemonises_is_exited_and_gone(api: Api, tmp_path: Path) -> None:
    command = f"redis-server --daemonize yes --port 0 --unixsocket {tmp_path}/redis.sock --dir {tmp_path}"
    id = api.add(command, autorestart="false")
    api.ok(f"programs/{id}/start")
    assert api.until(id, "exited")["last_run"]["exit_code"] == 0
    eventually(lambda: left(str(tmp_path)) == [])


@pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed")
def test_nginx_in_the_foreground_serves_until_it_is_stopped(api: Api) -> None:
    with temporary_folder() as folder:
        temporary = "".join(
            f"{name}_temp_path {folder}/{name};"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"daemon off; pid {folder}/nginx.pid; error_log stderr; events {{}} http {{ access_log off; "
            f"{temporary} server {{ listen unix:{folder}/nginx.sock; return 200 served; }} }}"
        )
        id = api.add(f"nginx -c {folder}/nginx.conf", autorestart="false")
        api.ok(f"programs/{id}/start")
        ask_nginx = talk_to(folder / "nginx.sock")
        assert ask_nginx("GET / HTTP/1.0\r\n\r\n").endswith(b"served")
        api.ok(f"programs/{id}/stop")
        assert left(str(folder)) == []


def talk_to(path: Path) -> Callable[[str], bytes]:
    """Return a function that sends a request to a socket, once the server listens."""

    def ask(request: str) -> bytes:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(path))
            connection.sendall(request.encode())
            return connection.recv(65536)

    def listens() -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            return connection.connect_ex(str(path)) == 0

    eventually(listens, 30)
    return ask
