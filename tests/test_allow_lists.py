"""Allow-lists: the users and folders of programs, also of those registered before the list was set."""

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.admin_client import AdminClient, create_users, errors_of
from tests.processes import is_root, started, tree
from tests.stack import OTHER_USER, OWN_USER, Api, Stack, eventually, temporary_stack

pytestmark = pytest.mark.skipif(not is_root(), reason="it takes root to have several users")

USER = OTHER_USER
DENIED = f"Field 'user' must be one of those that programs may run as: {USER}"


@pytest.fixture(scope="module")
def work() -> Iterator[Path]:
    """The folder that programs may work in. The user may put anything into it."""
    folder = Path(tempfile.mkdtemp(prefix="daemon-test-"))
    folder.chmod(0o755)
    (folder / "work").mkdir()
    os.chown(folder / "work", pwd.getpwnam(USER).pw_uid, -1)
    yield folder / "work"
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def confined(work: Path) -> Iterator[Stack]:
    with temporary_stack(DAEMON_ALLOWED_USERS=USER, DAEMON_WORK_ROOTS=str(work)) as stack:
        yield stack.start()


@pytest.fixture
def allowed(work: Path) -> dict[str, Any]:
    return {"command": "sleep 1000", "user": USER, "directory": str(work)}


def refused(api: Api, field: str, body: dict[str, Any]) -> str:
    for route in ("programs/add", "quick-start"):
        answer = api.post(route, {"name": "refused", **body})
        assert answer.status_code == 400, answer.text
        assert list(answer.json()["errors"]) == [field]
    return str(answer.json()["error"])


def test_what_is_on_the_lists_runs(confined: Stack, allowed: dict[str, Any]) -> None:
    id = confined.api.add(**allowed)
    assert started(confined.api, id)
    confined.api.ok(f"programs/remove/{id}")


def test_other_users_are_refused(confined: Stack, allowed: dict[str, Any]) -> None:
    assert refused(confined.api, "user", {**allowed, "user": "root"}) == DENIED
    id = confined.api.add(**allowed)
    assert confined.api.refused(f"programs/edit/{id}", {"user": "daemon"}) == DENIED
    confined.api.ok(f"programs/remove/{id}")


def test_other_folders_are_refused(confined: Stack, allowed: dict[str, Any], work: Path) -> None:
    (work / "link").symlink_to("/etc")
    for directory in ("/etc", f"{work}/..", f"{work}/link"):
        sentence = refused(confined.api, "directory", {**allowed, "directory": directory})
        assert sentence == f"Field 'directory' must lie below {work}, and '{directory}' does not"
    (work / "link").unlink()


def test_home_is_a_folder_like_others(confined: Stack, allowed: dict[str, Any], work: Path) -> None:
    del allowed["directory"]
    assert refused(confined.api, "directory", allowed).startswith(f"Field 'directory' must lie below {work},")
    refused(confined.api, "directory", {**allowed, "directory": None})


def test_list_of_users_keeps_logs_in_the_stacks_own_folder(
    confined: Stack, allowed: dict[str, Any], work: Path
) -> None:
    logs = confined.folder / "logs"
    for path in ("/etc/cron.d/job", f"{work}/out.log", f"{logs}/../db.sqlite3"):
        sentence = refused(confined.api, "stdout_logfile", {**allowed, "stdout_logfile": path})
        assert sentence == f"Field 'stdout_logfile' must lie below {logs}, and '{path}' does not"
    id = confined.api.add(**allowed, stdout_logfile=f"{logs}/mine/out.log")
    confined.api.ok(f"programs/remove/{id}")


def test_admin_says_the_same_of_its_fields(confined: Stack, work: Path) -> None:
    create_users(confined)
    answer = AdminClient(confined).add(name="by hand", command="true", user="root", directory="/etc")
    assert set(errors_of(answer)) == {
        DENIED,
        f"Field 'directory' must lie below {work}, and '/etc' does not",
    }


def test_roots_are_checked_before_existence(confined: Stack, allowed: dict[str, Any], work: Path) -> None:
    for directory in ("/etc", "/etc/missing", "/root/missing"):
        sentence = refused(confined.api, "directory", {**allowed, "directory": directory})
        assert sentence == f"Field 'directory' must lie below {work}, and '{directory}' does not"
    missing = refused(confined.api, "directory", {**allowed, "directory": f"{work}/missing"})
    assert missing == f"Working directory '{work}/missing' does not exist"


@pytest.fixture
def closed(work: Path) -> Iterator[Path]:
    """A folder that the user may not enter. ``there`` and the program ``tool`` are in it."""
    folder = work / "closed"
    (folder / "there").mkdir(parents=True)
    (folder / "tool").write_text("#!/bin/sh\nexec sleep 1000\n")
    (folder / "tool").chmod(0o755)
    (folder / "data").write_text("not a program\n")
    folder.chmod(0o700)
    yield folder
    shutil.rmtree(folder)


def test_existence_of_folders_is_told_as_far_as_the_user_may_see_it(
    confined: Stack, allowed: dict[str, Any], closed: Path, work: Path
) -> None:
    (work / "way").symlink_to(closed)
    for folder in (closed, work / "way"):
        told = {
            refused(confined.api, "directory", {**allowed, "directory": f"{folder}/{name}"}).replace(
                name, "…"
            )
            for name in ("there", "missing", "there/../missing", "data")
        }
        assert told == {f"Working directory '{folder}/…' can't be entered by the user \"{USER}\""}
    (work / "way").unlink()
    os.chown(closed, -1, pwd.getpwnam(USER).pw_gid)
    closed.chmod(0o710)
    id = confined.api.add(**{**allowed, "directory": f"{closed}/there"})
    missing = refused(confined.api, "directory", {**allowed, "directory": f"{closed}/missing"})
    assert missing == f"Working directory '{closed}/missing' does not exist"
    confined.api.ok(f"programs/remove/{id}")


@pytest.mark.parametrize("name", ["tool", "data", "missing"])
def test_existence_of_commands_is_told_as_far_as_the_user_may_see_it(
    confined: Stack, allowed: dict[str, Any], closed: Path, name: str
) -> None:
    api = confined.api
    for fields in (
        {"command": f"{closed}/{name}"},
        {"command": f"closed/{name}"},
        {"command": name, "environment": {"PATH": str(closed)}},
    ):
        id = api.add(**{**allowed, **fields})
        not_found = f"command not found: {fields['command']}"
        assert api.status(id)["problem"] == not_found
        sentence = f"Program with ID {id} can't be started: {not_found}"
        assert api.refused(f"programs/{id}/start") == sentence
        api.ok(f"programs/{id}/restart")  # which does not look first
        assert api.until(id, "fatal")["last_run"]["error"] == not_found
        api.ok(f"programs/remove/{id}")


def test_link_made_after_it_was_saved_is_found_at_the_start(
    confined: Stack, allowed: dict[str, Any], work: Path
) -> None:
    api = confined.api
    (work / "place").mkdir()
    id = api.add(**{**allowed, "directory": f"{work}/place", "command": "sh -c pwd"})
    (work / "place").rmdir()
    (work / "place").symlink_to("/etc")
    why = "programs may not run in the folder '/etc' (DAEMON_WORK_ROOTS)"
    assert api.refused(f"programs/{id}/start") == f"Program with ID {id} can't be started: {why}"
    api.ok(f"programs/{id}/restart")  # which does not look first
    assert api.until(id, "fatal")["last_run"]["error"] == why
    assert api.logs(id) == ""
    api.ok(f"programs/remove/{id}")


def test_lists_that_are_narrowed_hold_for_what_was_there_before(work: Path, tmp_path: Path) -> None:
    with temporary_stack() as stack:
        api = stack.start().api
        secret = tmp_path / "secret"
        secret.write_text("not for all users\n")
        os.chown(secret, pwd.getpwnam(USER).pw_uid, -1)
        fields: dict[str, dict[str, Any]] = {
            "root": {"user": OWN_USER, "directory": str(work)},
            "elsewhere": {"user": USER, "directory": "/"},
            "logging": {"user": USER, "directory": str(work), "stdout_logfile": str(secret)},
            "fine": {"user": USER, "directory": str(work)},
        }
        ids = {name: api.add("sleep 1000", name=name, boot=True, **given) for name, given in fields.items()}
        for id in ids.values():
            api.until(id, "running")
        assert api.logs(ids["logging"]) == "not for all users"
        assert stack.stop() == 0

        stack.environment = {"DAEMON_ALLOWED_USERS": USER, "DAEMON_WORK_ROOTS": str(work)}
        api = stack.start().api
        api.until(ids["fine"], "running")
        errors = {
            "root": f'programs may not run as the user "{OWN_USER}" (DAEMON_ALLOWED_USERS)',
            "elsewhere": "programs may not run in the folder '/' (DAEMON_WORK_ROOTS)",
            "logging": f"its logs or its terminal can't be made: {secret} lies outside of the folders that "
            "logs may be in",
        }
        for name, error in errors.items():
            assert api.until(ids[name], "fatal")["last_run"]["error"] == error
            assert tree(stack, ids[name]) == []
            api.ok(f"programs/edit/{ids[name]}", {**fields["fine"], "stdout_logfile": ""})
            eventually(lambda name=name: api.word(ids[name]) in ("stopped", "fatal"))
            api.ok(f"programs/{ids[name]}/start", {"wait": True})
        assert secret.read_text() == "not for all users\n"


def test_reading_a_log_ends_with_the_permission_to_have_it_there(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("not for all users\n")
    with temporary_stack() as stack:
        api = stack.start().api
        id = api.add(stdout_logfile=str(secret))
        assert api.logs(id) == "not for all users"
        assert stack.stop() == 0
        stack.environment = {"DAEMON_LOG_ROOTS": "/var/log"}
        answer = stack.start().api.get(f"programs/{id}/logs")
        assert answer.status_code == 400
        assert answer.json()["error"] == (
            f"The log can't be read: {secret} lies outside of the folders that logs may be in"
        )
