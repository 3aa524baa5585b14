"""Canaries in every field that may hold a secret: whatever goes wrong, they turn up nowhere else."""

import os
import re
import signal
import socket
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from tests import database
from tests.admin_client import PASSWORD, AdminClient, create_users
from tests.faults import no_configuration_folder
from tests.processes import is_root
from tests.stack import OTHER_USER, OWN_USER, Stack, eventually, free_port, temporary_stack
from tests.temporary_programs import own_processes

ENVIRONMENT = "canary-environment-5c1b"
HEADER = "canary-header-93ae"
ADDRESS = "canary-address-7f02"
ARGUMENT = "canary-argument-e44d"
COMMAND = "canary-command-21b9"
LOGIN = "canary-password-0d6e"
TOKEN = "hdt_canary-token-b8a7"
SECRETS = (ENVIRONMENT, HEADER, ADDRESS, ARGUMENT, COMMAND, LOGIN, TOKEN, PASSWORD)
# The command that can't be run is quoted for users who may read it anyway.
SHOWN = {COMMAND}


class Scene:
    """A stack whose programs hold canaries, and every error that it has answered with."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.errors: list[str] = []

    def fields(self, **more: Any) -> dict[str, Any]:
        port = free_port()
        webhook = {"urls": [f"http://127.0.0.1:{port}/{ADDRESS}"], "headers": {"X-Key": HEADER}, "retry": 0}
        return {
            "command": f"sh -c 'sleep 1000; :' {ARGUMENT}",
            "user": OWN_USER,
            "environment": {"KEY": ENVIRONMENT},
            "webhooks": webhook,
            **more,
        }

    def post(self, route: str, body: Any = None, **options: Any) -> requests.Response:
        answer = self.stack.api.post(route, body, **options)
        if answer.status_code >= 400:
            self.errors.append(answer.text)
        return answer

    def refused(self, route: str, body: Any = None, **options: Any) -> None:
        assert self.post(route, body, **options).status_code >= 400, route


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with temporary_stack(is_set_up=False, DAEMON_WEBHOOKS_DEVELOPMENT="true") as stack:
        create_users(stack.start())
        scene = Scene(stack)
        provoke(scene)
        yield scene


def provoke(scene: Scene) -> None:
    id = scene.stack.api.add(**scene.fields(name="holder", boot=True))
    scene.stack.api.until(id, "running")
    bad_input(scene, id)
    bad_starts(scene)
    bad_access(scene)
    broken_files(scene, id)
    broken_database(scene)
    supervisord_away(scene, id)


def bad_input(scene: Scene, id: int) -> None:
    for change in (
        {"environment": {"KEY": ENVIRONMENT, "1BAD": ENVIRONMENT}},
        {"environment": {"KEY": ENVIRONMENT + "\0"}},
        {"environment": {"KEY": [ENVIRONMENT]}},
        {"environment": {"KEY": ENVIRONMENT * 10_000}},
        {"environment": ENVIRONMENT},
        {"webhooks": {"headers": {"X-Key": HEADER + "\n"}}},
        {"webhooks": {"headers": {"Host": HEADER}}},
        {"webhooks": {"headers": {"X-Key": [HEADER]}}},
        {"webhooks": {"headers": HEADER}},
        {"command": f"sh -c '{ARGUMENT}"},
        {"command": f"sh {ARGUMENT}\n"},
        {"command": f"sh {ARGUMENT * 10_000}"},
    ):
        scene.refused("programs/add", scene.fields(name="bad", **change))
        scene.refused(f"programs/edit/{id}", change)
        if "webhooks" not in change:
            scene.refused("quick-start", {"command": "true", "user": OWN_USER, **change})
    scene.refused("programs/add", scene.fields(name="holder"))  # taken
    json = {"Content-Type": "application/json"}
    for text in (
        f'{{"environment": {{"KEY": "{ENVIRONMENT}"}}',
        f'{{"environment": "{ENVIRONMENT}", "environment": "{ENVIRONMENT}"}}',
        f'["{ENVIRONMENT}"]',
        f'"{ENVIRONMENT}"',
        "[" * 100_000 + ENVIRONMENT,
        ENVIRONMENT * 100_000,
    ):
        scene.refused("programs/add", data=text, headers=json)
    scene.refused("programs/add", data=b"\xff" + ENVIRONMENT.encode(), headers=json)
    scene.refused("programs/add", data=ENVIRONMENT, headers={"Content-Type": "text/plain"})
    admin = AdminClient(scene.stack)
    admin.add(name="bad", command="true", user="no such user", environment=f'{{"KEY": "{ENVIRONMENT}"')
    admin.change(id, webhooks=f'{{"headers": {{"Host": "{HEADER}"}}}}')


def bad_starts(scene: Scene) -> None:
    changes = (
        {"command": f"/nowhere/{COMMAND} {ARGUMENT}"},
        {"command": f"{COMMAND} {ARGUMENT}"},
        {"command": f"sh -c 'exit 3' {ARGUMENT}", "autorestart": "false"},
        {"command": f"sh -c 'kill -SEGV $$' {ARGUMENT}"},
    )
    with ThreadPoolExecutor() as pool:  # what fails is tried again, for six seconds
        list(pool.map(lambda change: bad_start(scene, change), changes))


def bad_start(scene: Scene, change: dict[str, str]) -> None:
    name = f"start {change['command']}"
    id = scene.post("programs/add", scene.fields(name=name.replace("'", ""), **change)).json()["id"]
    scene.refused(f"programs/{id}/start", {"wait": True})
    scene.post(f"programs/{id}/restart", {"wait": True})
    body = {"command": change["command"], "user": OWN_USER, "environment": {"KEY": ENVIRONMENT}}
    scene.post("quick-start", {**body, "wait": "exit"})
    scene.post(f"programs/remove/{id}")


def bad_access(scene: Scene) -> None:
    stack = scene.stack
    for header in (f"Bearer {TOKEN}", f"Basic {TOKEN}", f"Bearer {TOKEN}\x7f"):
        scene.errors.append(
            requests.get(
                f"{stack.url}/api/v1/daemon/programs", headers={"Authorization": header.encode()}, timeout=60
            ).text
        )
    # What the server in front of Django refuses itself.
    for line in (f"Authorization: Bearer {TOKEN}\x00", f"Authorization : Bearer {TOKEN}", f"Bearer {TOKEN}"):
        with socket.create_connection(("127.0.0.1", stack.port), 10) as line_to:
            line_to.sendall(
                f"GET /api/v1/daemon/programs HTTP/1.1\r\nHost: localhost\r\n{line}\r\n\r\n".encode()
            )
            scene.errors.append(line_to.recv(65536).decode(errors="replace"))
    session = stack.browser()
    page = session.get(f"{stack.url}/admin/login/", timeout=60).text
    csrf = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert csrf
    form = {"username": "admin", "password": LOGIN, "csrfmiddlewaretoken": csrf[1]}
    answer = session.post(f"{stack.url}/admin/login/", form, timeout=60)
    scene.errors.append(answer.text)
    scene.errors.append(session.post(f"{stack.url}/admin/login/", {"password": LOGIN}, timeout=60).text)


@contextmanager
def in_its_place(file: Path) -> Iterator[None]:
    """A folder where a file should be: neither read nor replaced."""
    kept = file.with_name(f"{file.name}.kept")
    file.rename(kept)
    file.mkdir()
    try:
        yield
    finally:
        file.rmdir()
        kept.rename(file)


def broken_files(scene: Scene, id: int) -> None:
    with no_configuration_folder(scene.stack):
        scene.refused(f"programs/edit/{id}", {"environment": {"KEY": f"{ENVIRONMENT}-2"}})
    with in_its_place(scene.stack.folder / "programs.default.json"):
        scene.refused("programs/reset")
    with in_its_place(scene.stack.folder / "programs.json"):
        scene.post(f"programs/edit/{id}", {"description": "the mirror can't be written"})
        log = scene.stack.folder / "stack-logs" / "api.log"
        eventually(lambda: "programs.json can't be written" in log.read_text())


def broken_database(scene: Scene) -> None:
    """Rename a table, which causes an unexpected exception."""
    with database.opened(scene.stack.folder) as opened:
        opened.execute("ALTER TABLE quick_start_ephemeralprogram RENAME TO gone")
    try:
        body = {"command": f"true {ARGUMENT}", "user": OWN_USER, "environment": {"KEY": ENVIRONMENT}}
        scene.refused("quick-start", body)
        scene.refused("programs/add", scene.fields(name="without a table", terminal_id=77))
    finally:
        with database.opened(scene.stack.folder) as opened:
            opened.execute("ALTER TABLE gone RENAME TO quick_start_ephemeralprogram")


def supervisord_away(scene: Scene, id: int) -> None:
    """Stopped in the middle: calls are taken and not answered. Then it goes on."""
    os.kill(scene.stack.supervisord_pid, signal.SIGSTOP)
    try:
        scene.refused(f"programs/edit/{id}", {"environment": {"KEY": f"{ENVIRONMENT}-3"}})
        scene.refused("quick-start", {"command": f"true {ARGUMENT}", "user": OWN_USER})
    finally:
        os.kill(scene.stack.supervisord_pid, signal.SIGCONT)
    scene.stack.api.until(id, "running")


def test_every_kind_of_error_was_seen(scene: Scene) -> None:
    codes = set(re.findall(r'"code":"(\w+)"', "".join(scene.errors)))
    assert {"invalid", "refused", "supervisor_unavailable", "parse_error", "body_too_large"} <= codes
    log = (scene.stack.folder / "stack-logs" / "api.log").read_text()
    assert "Traceback" in log


def test_no_error_reveals_a_secret(scene: Scene) -> None:
    for secret in set(SECRETS) - SHOWN:
        assert [error[:500] for error in scene.errors if secret in error] == []


def test_no_log_of_the_stack_has_a_secret(scene: Scene) -> None:
    logs = [scene.stack.output, *(scene.stack.folder / "stack-logs").iterdir()]
    assert len(logs) >= 5
    secrets = [*SECRETS, scene.stack.token, (scene.stack.folder / "secret-key").read_text().strip()]
    for log in logs:
        shown = log.read_text(errors="replace")
        if log == scene.stack.output:  # where the first start has printed them
            shown = shown.replace(scene.stack.token, "", 1)
        assert [line for line in shown.splitlines() if any(secret in line for secret in secrets)] == [], log


def test_no_process_of_the_stack_shows_a_secret(scene: Scene) -> None:
    supervisord = psutil.Process(scene.stack.supervisord_pid)
    own = [supervisord, *own_processes(scene.stack, "api", "scheduler", "listener", "prober")]
    assert len(own) >= 6
    for process in own:
        shown = " ".join([*process.cmdline(), *process.environ().values()])
        assert not any(secret in shown for secret in (*SECRETS, scene.stack.token)), shown


def test_nothing_in_the_state_folder_is_for_others(scene: Scene) -> None:
    entries = [scene.stack.folder, *scene.stack.folder.rglob("*")]
    assert len(entries) > 20
    open_to_others = {
        str(entry): oct(entry.lstat().st_mode)
        for entry in entries
        if entry.lstat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    }
    assert open_to_others == {}


@pytest.mark.skipif(not is_root(), reason="it takes root to become another user")
def test_other_users_can_not_read_it(scene: Scene) -> None:
    targets = ("", "/api-token", "/db.sqlite3", "/supervisor.sock", "/changes.sock", "/logs")
    for target in targets:
        answer = scene.stack.api.ok(
            "quick-start",
            {
                "command": f"sh -c 'ls {scene.stack.folder}{target} && cat {scene.stack.folder}{target}'",
                "user": OTHER_USER,
                "directory": "/",
                "wait": "exit",
                "autorestart": "false",  # no second try
            },
        )
        assert answer["stdout"] == ""
        assert "Permission denied" in answer["stderr"]
