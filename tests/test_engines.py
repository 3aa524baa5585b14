"""PostgreSQL and Redis in place of the embedded engines, with servers of these tests' own."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from environs import ValidationError

from hoody_site import engines
from tests import database
from tests.processes import shell
from tests.servers import MISSING, Postgresql, Redis, are_installed, running
from tests.stack import Stack, eventually, temporary_stack

PASSWORD = "s3cret-of-the-database"


@pytest.mark.parametrize(
    "url",
    [
        "",
        f"mysql://u:{PASSWORD}@host/name",
        f"postgres://u:{PASSWORD}@host",
        f"postgres://u:{PASSWORD}@host/",
        f"postgres://u:{PASSWORD}@host:port/name",
        f"postgres://u:{PASSWORD}@[::1/name",
        f"{PASSWORD}",
    ],
)
def test_what_is_no_address_of_a_database_is_refused_without_a_word_of_it(url: str) -> None:
    with pytest.raises(ValidationError) as refused:
        engines.check_database_url(url)
    assert PASSWORD not in str(refused.value)
    assert "postgres://user:password@host/database" in str(refused.value)


@pytest.mark.parametrize("url", ["", "http://host", f"amqp://u:{PASSWORD}@host/0", "redis://host:0/1"])
def test_what_is_no_address_of_a_broker_is_refused_without_a_word_of_it(url: str) -> None:
    with pytest.raises(ValidationError) as refused:
        engines.check_broker_url(url)
    assert PASSWORD not in str(refused.value)
    assert "redis://host:6379/0" in str(refused.value)


def test_address_of_a_database_may_have_options() -> None:
    url = "postgres://me:p%40ss@db.example.com:5433/daemon?sslmode=verify-full&options=-c%20work_mem=8MB"
    engines.check_database_url(url)
    settings = engines.postgresql(url, connections=9)
    assert (settings["USER"], settings["PASSWORD"]) == ("me", "p@ss")
    assert (settings["HOST"], settings["PORT"], settings["NAME"]) == ("db.example.com", 5433, "daemon")
    assert settings["OPTIONS"]["sslmode"] == "verify-full"
    assert settings["OPTIONS"]["options"].startswith("-c work_mem=8MB -c lock_timeout=20s -c ")
    assert " -c idle_in_transaction_session_timeout=60s -c " in settings["OPTIONS"]["options"]
    assert settings["OPTIONS"]["pool"]["max_size"] == 9


def test_queue_has_a_name_for_each_installation_that_tells_no_key() -> None:
    name = engines.queue_name("key of one")
    assert name == engines.queue_name("key of one") != engines.queue_name("key of another")
    assert "key" not in name


@pytest.mark.stack
def test_start_without_the_database_is_one_sentence() -> None:
    with temporary_stack(DAEMON_DATABASE_URL=f"postgres://me:{PASSWORD}@127.0.0.1:9/daemon") as stack:
        refused = stack.manage("run_stack")
    *reasons, sentence = refused.stderr.splitlines()
    assert sentence.startswith("CommandError: The database of DAEMON_DATABASE_URL can't be used: ")
    assert "Connection refused" in "".join(reasons), "which the pool of connections tells"
    assert PASSWORD not in refused.stderr


class Servers:
    """Both servers, and stacks that use them."""

    def __init__(self, postgresql: Postgresql, redis: Redis) -> None:
        self.postgresql, self.redis = postgresql, redis
        self._databases = 0
        with self._server() as server:
            server.execute(f"CREATE ROLE daemon LOGIN CREATEDB PASSWORD '{PASSWORD}'")

    def environment(self) -> dict[str, str]:
        """Return the settings of a stack with a new database."""
        self._databases += 1
        name = f"stack{self._databases}"
        with self._server() as server:
            server.execute(f"CREATE DATABASE {name} OWNER daemon")
        address = urlsplit(self.postgresql.url).netloc.partition("@")[2]
        return {
            "DAEMON_DATABASE_URL": f"postgres://daemon:{PASSWORD}@{address}/{name}",
            "DAEMON_BROKER_URL": f"{self.redis.url}/0",
        }

    def _server(self) -> Any:
        return psycopg.connect(f"{self.postgresql.url}/postgres", autocommit=True)


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    if not are_installed():
        pytest.skip(MISSING)
    with ExitStack() as both:
        yield Servers(both.enter_context(running(Postgresql)), both.enter_context(running(Redis)))


@pytest.fixture(scope="module")
def stack(servers: Servers) -> Iterator[Stack]:
    """A stack that uses both, and has begun with an empty database."""
    with temporary_stack(is_set_up=False, **servers.environment()) as running:
        yield running.start()
        assert running.stop() == 0


def states(stack: Stack, id: int) -> list[str]:
    events = stack.api.get(f"programs/{id}/events").json()["events"]
    return [event["state"] for event in events][::-1]


def shown(stack: Stack) -> list[dict[str, Any]]:
    return stack.api.get("programs").json()["programs"]  # type: ignore[no-any-return]


@pytest.mark.stack
def test_stack_runs_on_both_and_tells_no_password(stack: Stack) -> None:
    api = stack.api
    id = api.add(shell("echo up; exec sleep 1000"), boot=True, labels={"b": "1", "a": "2"})
    api.until(id, "running")
    assert api.get("programs/" + str(id)).json()["program"]["labels"] == {"a": "2", "b": "1"}
    eventually(lambda: states(stack, id) == ["starting", "running"])
    answer = api.ok("quick-start", {"command": "true", "user": "root", "wait": "exit"})
    assert answer["last_run"]["exit_code"] == 0
    assert api.refused("quick-start/%00/stop", code=404)
    assert api.get("ready").json()["parts"]["database"] is True
    assert not (stack.folder / "db.sqlite3").exists()
    written = "".join(file.read_text(errors="replace") for file in stack.folder.rglob("*") if file.is_file())
    told = " ".join(" ".join(process.cmdline()) for process in stack.processes())
    assert PASSWORD not in written + told + stack.output.read_text()
    new = api.add(name="after those with ids")
    assert new == id + 1


@pytest.mark.stack
@database.on_embedded
def test_backup_of_one_engine_is_restored_with_the_other(
    servers: Servers, stack: Stack, tmp_path: Path
) -> None:
    file = tmp_path / "backup.tar.gz"
    kept = stack.api.add(name="kept", environment={"A": "ü"}, webhooks={"urls": ["https://example.com/"]})
    gone = stack.api.add(name="gone")
    stack.api.ok(f"programs/remove/{gone}")
    done = stack.manage("backup", str(file))
    assert done.returncode == 0, done.stderr
    before = shown(stack)
    with temporary_stack() as embedded:
        assert embedded.manage("restore", str(file)).returncode == 0
        assert embedded.start().token == stack.token
        assert [each["id"] for each in shown(embedded)] == [each["id"] for each in before]
        document = embedded.api.get(f"programs/{kept}").json()["program"]
        assert document["environment"] == {"A": "ü"}
        assert embedded.api.add(name="new") > gone, "an id is never used again"
        assert embedded.manage("backup", str(file)).returncode == 0
    with temporary_stack(is_set_up=False, **servers.environment()) as other:
        done = other.manage("restore", str(file))
        assert done.returncode == 0, done.stderr
        done = other.manage("restore", str(file))
        assert "What it replaced is in" in done.stdout
        assert list(other.folder.glob("backups/replaced-*/db.sqlite3"))
        assert {each["name"] for each in shown(other.start())} >= {"kept", "new"}
        assert other.api.add(name="newer") > gone + 1
        done = other.manage("restore", str(file))
        assert "A stack already runs" in done.stderr


@pytest.mark.stack
@database.on_embedded
def test_database_is_moved_there_and_back(servers: Servers) -> None:
    with temporary_stack() as stack:
        id = stack.start().api.add(name="moves", boot=True)
        stack.api.until(id, "running")
        eventually(lambda: states(stack, id) == ["starting", "running"])
        refused = stack.manage("move_database", "--to", "postgresql")
        assert "DAEMON_DATABASE_URL must name the PostgreSQL database" in refused.stderr
        stack.environment = {**stack.environment, **servers.environment()}
        assert "A stack already runs" in stack.manage("move_database", "--to", "postgresql").stderr
        assert stack.stop() == 0

        done = stack.manage("move_database", "--to", "postgresql")
        assert done.returncode == 0, done.stderr
        assert "is in use: it must be empty" in stack.manage("move_database", "--to", "postgresql").stderr
        (stack.folder / "db.sqlite3").unlink()
        api = stack.start().api
        api.until(id, "running")
        eventually(lambda: states(stack, id)[:2] == ["starting", "running"], what="the history came along")
        second = api.add(name="second")
        assert second == id + 1
        assert stack.stop() == 0

        done = stack.manage("move_database", "--to", "sqlite")
        assert done.returncode == 0, done.stderr
        assert "exists: move it away first" in stack.manage("move_database", "--to", "sqlite").stderr
        stack.environment = {}
        assert {each["name"] for each in shown(stack.start())} >= {"moves", "second"}
        assert (stack.folder / "db.sqlite3").stat().st_mode & 0o777 == 0o600


@pytest.mark.stack
def test_programs_outlive_both_servers_and_nothing_of_their_history_is_lost(
    servers: Servers, stack: Stack
) -> None:
    api = stack.api
    id = api.add(boot=True)
    pid = api.until(id, "running")["status"]["pid"]
    servers.postgresql.stop()
    servers.redis.stop()
    answer = api.get("programs")
    assert (answer.status_code, answer.json()["code"]) == (503, "state_unavailable")
    assert PASSWORD not in answer.text
    os.kill(pid, signal.SIGKILL)
    servers.postgresql.start()
    eventually(lambda: api.get("programs").status_code == 200, 30, "the API finds its database again")
    metrics = api.session.get(f"{stack.url}/metrics", timeout=60)
    assert (metrics.status_code, "\ndaemon_queue_tasks " in metrics.text) == (200, False)
    servers.redis.start()
    metrics = api.session.get(f"{stack.url}/metrics", timeout=60)
    assert "\ndaemon_queue_tasks " in metrics.text
    eventually(lambda: states(stack, id)[-1] == "running" and len(states(stack, id)) > 3, 30)
    assert states(stack, id)[:3] == ["starting", "running", "exited"]
    assert api.pid(id) != pid
    assert PASSWORD not in "".join(
        file.read_text(errors="replace") for file in (stack.folder / "stack-logs").iterdir()
    )
