"""``manage.py reconcile``: differences are reported and repaired, even if one of them can't be."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from daemon_programs.maintenance.reconcile import Difference
from daemon_programs.supervisor.client import Supervisor
from daemon_programs.supervisor.processes.tree import identify
from tests import database
from tests.admin_client import PROGRAMS, AdminClient, create_users, errors_of, live_of
from tests.processes import LONG_RUNNING, is_root, started
from tests.program_sets import document, done, everything, mirrored, write
from tests.stack import Stack, eventually, temporary_stack
from tests.temporary_programs import Quick, own_processes, suspended

LINE = "No differences found.\n"


@pytest.fixture(scope="module")
def quiet() -> Iterator[Stack]:
    """A stack whose queue is suspended, so that it does not reconcile."""
    with temporary_stack() as stack:
        stack.start()
        eventually(lambda: own_processes(stack, "scheduler"), 60)
        with suspended(stack, "scheduler"):
            yield stack


class OrphanedProcess:
    """A process with the environment that a stack gives its programs, which proves nothing, and a child."""

    def __init__(self, socket: str, group: str = "program-777") -> None:
        marks = {
            "SUPERVISOR_SERVER_URL": f"unix://{socket}",
            "SUPERVISOR_GROUP_NAME": group,
            "SUPERVISOR_PROCESS_NAME": group,
        }
        script = "env -i sleep 1000 & echo; exec sleep 1000"
        self.process = subprocess.Popen(
            ["sh", "-c", script], env={**os.environ, **marks}, stdout=subprocess.PIPE, start_new_session=True
        )
        assert self.process.stdout
        self.process.stdout.readline()
        self.pids = [self.process.pid, *(each.pid for each in psutil.Process(self.process.pid).children())]

    @property
    def lives(self) -> bool:
        return any(identify(pid) for pid in self.pids)

    def kill(self) -> None:
        for pid in self.pids:
            if psutil.pid_exists(pid):
                os.kill(pid, 9)
        self.process.wait()


def test_each_difference_is_reported_and_repaired_and_a_dry_run_changes_nothing(quiet: Stack) -> None:
    api, folder = quiet.api, quiet.folder
    supervisor = Supervisor(folder / "supervisor.sock")
    lost, other, unknown, gone = (api.add(LONG_RUNNING, name=f"{name} one") for name in ("a", "b", "c", "d"))
    ended = Quick(quiet).run("true")
    pid = started(api, other)
    mirrored(quiet)
    eventually(lambda: ended not in (folder / "ephemeral.json").read_text())
    assert done(quiet, "reconcile", "--dry-run") == LINE

    (folder / "conf.d" / f"program-{lost}.json").unlink()
    (folder / "conf.d" / "program-999999.json").write_text("{}")
    (folder / "conf.d" / "quick_77.json").write_text("{}")
    right = (folder / "conf.d" / f"program-{other}.json").read_text()
    (folder / "conf.d" / f"program-{other}.json").write_text(
        right.replace('"priority": 999', '"priority": 5')
    )
    supervisor.apply(f"program-{other}")
    (folder / "conf.d" / f"program-{other}.json").write_text(right)
    supervisor.remove(f"program-{unknown}")
    with database.opened(folder) as rows:
        rows.execute("DELETE FROM daemon_programs_program WHERE id = ?", (gone,))
    (folder / "programs.json").write_text("[")
    (folder / "ephemeral.json").unlink()
    orphan = OrphanedProcess(f"{folder}/supervisor.sock")
    expected = [
        (f"conf.d/program-{gone}.json belongs to no program", "removed"),
        ("conf.d/program-999999.json belongs to no program", "removed"),
        (f"conf.d/program-{lost}.json differs from the database", "rewritten"),
        (f"program-{other} differs between supervisord and the database", "updated"),
        (f"program-{unknown} is not known to supervisord", "registered"),
        (f"program-{gone} is still known to supervisord", "withdrawn"),
        ("programs.json differs from the database", "rewritten"),
        ("quick_77 is still there after its end", "removed"),
        ("ephemeral.json differs from the database", "rewritten"),
    ]
    try:
        before = everything(quiet)
        for _ in range(2):
            report = done(quiet, "reconcile", "--dry-run").splitlines()
            assert sorted(report) == sorted(f"{what}: to be {remedy}" for what, remedy in expected)
        assert everything(quiet) == before
        assert orphan.lives
        report = done(quiet, "reconcile").splitlines()
        assert sorted(report) == sorted(f"{what}: {remedy}" for what, remedy in expected)
        assert orphan.lives
    finally:
        orphan.kill()
    assert api.pid(other) == pid
    assert (folder / "conf.d" / f"program-{other}.json").read_text() == right
    eventually(lambda: f"program-{gone}" not in supervisor.states()["programs"])
    assert done(quiet, "reconcile") == LINE
    mirrored(quiet)


def test_unnoticed_end_of_a_launch_is_recorded(quiet: Stack) -> None:
    quick = Quick(quiet)
    with suspended(quiet, "listener"):
        id = quick.run("true")
        states = Supervisor(quiet.folder / "supervisor.sock")
        eventually(lambda: states.states()["programs"][id]["over"])
        said = done(quiet, "reconcile", "--dry-run").splitlines()  # its mirror may be on its way still
        assert f"{id} has ended unnoticed: to be recorded as ended" in said
        assert f"{id} has ended unnoticed: recorded as ended\n" in done(quiet, "reconcile")
    assert quick.status(id)["last_run"]["exit_code"] == 0


def test_what_runs_is_no_stray(quiet: Stack) -> None:
    """Process trees, orphans, processes without markers and ending processes are no differences."""
    command = "sh -c 'env -i sleep 1000 & (setsid sleep 1000 &); (env -i sleep 1000 &); exec sleep 1000'"
    ids = [quiet.api.add(command), quiet.api.add("sleep 1000", port_range={"start": 64200, "end": 64203})]
    pid = started(quiet.api, ids[0])
    quiet.api.ok(f"programs/{ids[1]}/start", {"all": True})
    mirrored(quiet)
    assert done(quiet, "reconcile") == LINE
    assert quiet.api.pid(ids[0]) == pid
    assert len(psutil.Process(pid).children()) == 1
    stubborn = quiet.api.add("sh -c \"trap '' TERM; echo ready; while :; do sleep 1; done\"")
    started(quiet.api, stubborn)
    eventually(lambda: quiet.api.logs(stubborn) == "ready")
    Supervisor(quiet.folder / "supervisor.sock").stop(f"program-{stubborn}")
    mirrored(quiet)
    assert done(quiet, "reconcile") == LINE
    assert quiet.api.word(stubborn) == "stopping"
    for id in (*ids, stubborn):
        quiet.api.ok(f"programs/remove/{id}")


@pytest.mark.skipif(not is_root(), reason="only root can mount what can't be removed")
def test_what_can_not_be_repaired_is_a_fault_and_blocks_nothing_else(quiet: Stack) -> None:
    id = quiet.api.add(LONG_RUNNING)
    mirrored(quiet)
    stuck = quiet.folder / "conf.d" / "program-888888.json"
    stuck.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", stuck], capture_output=True, text=True)
    if mounted.returncode != 0:
        stuck.rmdir()
        pytest.skip(f"nothing can be mounted here: {mounted.stderr.strip()}")
    (quiet.folder / "conf.d" / f"program-{id}.json").unlink()
    try:
        ran = quiet.manage("reconcile")
    finally:
        subprocess.run(["umount", stuck], check=True)
        stuck.rmdir()
    assert ran.returncode == 1
    assert ran.stderr.startswith("CommandError: Some differences could not be repaired:\n")
    assert "conf.d/program-888888.json belongs to no program: could not be removed (" in ran.stderr
    assert f"conf.d/program-{id}.json differs from the database: rewritten" in ran.stderr
    assert done(quiet, "reconcile") == LINE


# What has vanished since a program was registered


TOO_LONG = "/bin/" + "a" * 300  # not even that it isn't there can be found out


DAMAGE = {
    "no text": ("command", "'unclosed"),
    "no command": ("command", ""),
    "no map": ("environment", "[1]"),
    **({} if database.POSTGRES else {"no number": ("priority", "x")}),  # PostgreSQL refuses it
}


def test_damaged_rows_keep_no_other_program_from_starting(own_stack: Stack) -> None:
    api = own_stack.start().api
    ids = {name: api.add(name=name, boot=True) for name in (*DAMAGE, "well")}
    for name, (column, value) in DAMAGE.items():
        change_row(own_stack, name, column, value)
    report = own_stack.manage("reconcile")
    assert "Traceback" not in report.stderr
    assert api.until(ids["well"], "running")
    own_stack.stop()
    api = own_stack.start().api
    api.until(ids["well"], "running")
    said = own_stack.output.read_text()
    for name in ("no text", "no command", "no map"):
        assert f"'{name}' ({ids[name]}) can't be run: " in said
    if "no number" in ids:
        assert f"left out: program-{ids['no number']}.json can't be read" in said


def change_row(stack: Stack, name: str, column: str, value: str) -> None:
    with database.opened(stack.folder) as rows:
        rows.execute(f"UPDATE daemon_programs_program SET {column} = ? WHERE name = ?", (value, name))


def test_differences_hold_nothing_that_a_terminal_obeys() -> None:
    report = Difference("'x\x1b[2J\u202ey' is gone", "removed").sentence()
    assert report == "'x\\x1b[2J\\u202ey' is gone: removed"


@pytest.mark.skipif(not is_root(), reason="it takes root to have several users")
def test_command_of_another_user_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    os.chown(tmp_path, 65534, 65534)
    report = Stack(tmp_path).manage("reconcile")
    assert report.stderr.strip() == (
        f"CommandError: The state folder {tmp_path} belongs to another user: run this as that user"
    )
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def haunted() -> Iterator[tuple[Stack, dict[str, int], Path]]:
    """A stack that was started again after a user, folders and a command had gone."""
    with temporary_stack() as stack:
        api = stack.start().api
        away = stack.folder.parent / "away"
        away.mkdir()
        (away / "command").write_text("#!/bin/sh\nexec sleep 1000\n")
        (away / "command").chmod(0o755)
        fields: dict[str, dict[str, Any]] = {
            "user": {"boot": True},
            "folder": {"boot": True, "directory": str(away)},
            "command": {"boot": True, "command": f"{away}/command"},
            "log": {"stdout_logfile": f"{away}/out.log"},
            "at rest": {"directory": str(away)},
            "ports": {"directory": str(away), "port_range": {"start": 64300, "end": 64301}},
            "name": {"boot": True, "command": TOO_LONG},
            "well": {"boot": True, "priority": 999},
        }
        ids = {name: api.add(**{"name": name, **each}) for name, each in fields.items()}
        mirrored(stack)
        assert stack.stop() == 0
        shutil.rmtree(away)
        away.touch()
        with database.opened(stack.folder) as rows:
            rows.execute("""UPDATE daemon_programs_program SET "user" = 'vanished' WHERE name = 'user'""")
        yield stack.start(), ids, away


Haunted = tuple[Stack, dict[str, int], Path]
NO_USER = 'User "vanished" does not exist on the system'


def problems(away: Path) -> dict[str, str]:
    folder = f"Working directory '{away}' does not exist"
    return {
        "user": NO_USER,
        "folder": folder,
        "command": f"command not found: {away}/command",
        "log": f"Field 'stdout_logfile': the folder of '{away}/out.log' can't be made or written",
        "at rest": folder,
        "ports": folder,
        "name": f"command not found: {TOO_LONG}",
    }


def test_programs_that_can_not_be_run_are_marked_and_block_no_other(haunted: Haunted) -> None:
    stack, ids, away = haunted
    stack.api.until(ids["well"], "running")
    reasons = {
        "user": NO_USER,
        "folder": f"Working directory '{away}' can't be entered: not a directory",
        "command": f"command not found: {away}/command",
        "name": f"command not found: {TOO_LONG}",
    }
    for name, reason in reasons.items():
        assert stack.api.until(ids[name], "fatal")["last_run"]["error"] == reason
    for name, problem in problems(away).items():
        assert stack.api.status(ids[name])["problem"] == problem, name
    assert stack.api.word(ids["at rest"]) == "stopped"
    assert "problem" not in stack.api.status(ids["well"])


def test_reconcile_lists_programs_that_can_not_be_run_without_a_fault(haunted: Haunted) -> None:
    stack, ids, away = haunted
    expected = {f"'{name}' ({ids[name]}) can't be run: {why}" for name, why in problems(away).items()}
    assert expected <= set(stack.output.read_text().splitlines())
    mirrored(stack)
    for options in ([], ["--dry-run"]):
        assert set(done(stack, "reconcile", *options).splitlines()) == expected


def test_admin_shows_why_a_program_can_not_be_run(haunted: Haunted) -> None:
    stack, ids, away = haunted
    create_users(stack)
    admin = AdminClient(stack)
    for name, problem in problems(away).items():
        assert f"This program can't be run: {problem}" in live_of(
            admin.page(f"{PROGRAMS}{ids[name]}/change/")
        )
    assert "This program can't be run" not in live_of(admin.page(f"{PROGRAMS}{ids['well']}/change/"))


def test_edit_checks_only_what_it_changes(haunted: Haunted) -> None:
    stack, ids, away = haunted
    for name, problem in problems(away).items():
        edit = f"programs/edit/{ids[name]}"
        assert stack.api.ok(edit, {"description": "gone"})["program"]["description"] == "gone"
        whole = stack.api.get(f"programs/{ids[name]}").json()["program"]
        assert stack.api.ok(edit, {**whole, "priority": 998})["program"]["priority"] == 998
        assert problem
    edit = f"programs/edit/{ids['user']}"
    assert (
        stack.api.refused(edit, {"user": "no-such-user"})
        == 'User "no-such-user" does not exist on the system'
    )
    assert stack.api.refused(edit, {"priority": 0}) == "Field 'priority' must be between 1 and 999"
    sentence = stack.api.refused(f"programs/edit/{ids['folder']}", {"directory": "/also/gone"})
    assert sentence == "Working directory '/also/gone' does not exist"
    fresh = {"name": "fresh", "command": "true", "user": "vanished"}
    assert stack.api.refused("programs/add", fresh) == NO_USER


def test_admin_saves_what_is_not_about_the_vanished(haunted: Haunted) -> None:
    stack, ids, _ = haunted
    create_users(stack)
    assert errors_of(AdminClient(stack).change(ids["user"], description="from the desk")) == []
    assert stack.api.get(f"programs/{ids['user']}").json()["program"]["description"] == "from the desk"


def test_sets_and_verbs_are_not_held_up_by_what_has_vanished(haunted: Haunted, tmp_path: Path) -> None:
    """The last test of this module: it replaces the programs."""
    stack, ids, _ = haunted
    for verb in ("disable", "enable", "stop"):
        stack.api.ok(f"programs/{ids['user']}/{verb}")
    assert stack.api.refused(f"programs/{ids['user']}/start", {}).endswith(NO_USER)
    programs = json.loads(done(stack, "export_programs"))["programs"]
    for program in programs:
        program["description"] = "imported"
    file = write(tmp_path / "set.json", *programs)
    assert "change 'user'" in done(stack, "import_programs", file)
    stack.api.ok(f"programs/remove/{ids['command']}")
    stack.api.ok("programs/reset")
    assert done(stack, "reconcile") == LINE
    file = write(tmp_path / "set.json", document(5, "new", user="vanished"))
    assert NO_USER in stack.manage("import_programs", str(file)).stderr
