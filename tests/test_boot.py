"""What a start of the stack makes of what it finds: the database is the truth."""

import json
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.processes import shell, tree
from tests.stack import Api, Stack, eventually


def test_first_start_shows_password_and_token_and_where_to_go(stack: Stack) -> None:
    shown = stack.output.read_text()
    for name, url in (
        ("API", stack.url),
        ("Admin", f"http://{stack.admin_host}/admin"),
        ("Docs", f"{stack.url}/api/docs"),
    ):
        assert f"{name:9}{url}/\n" in shown
    assert len(re.findall(r"^Log in   admin / \S{12,}   \(shown only now\)$", shown, re.M)) == 1
    assert f"Token    {stack.token}   (shown only now)" in shown
    assert f"it is in {stack.folder}/api-token\n" in shown
    ready = f"ready: the API and its documentation are at {stack.url}/"
    eventually(lambda: ready in stack.output.read_text())


def test_secrets_are_long_and_kept_as_digests(stack: Stack) -> None:
    assert len(stack.token) > 40
    assert len((stack.folder / "secret-key").read_text().strip()) >= 50
    for file in stack.folder.glob("db.sqlite3*"):
        assert stack.token.encode() not in file.read_bytes(), file


def test_logs_of_the_stack_hold_nothing_that_programs_were_given(api: Api, stack: Stack) -> None:
    id = api.add(shell("true", "argument-of-mine"), environment={"V": "value-of-mine"})
    api.ok(f"programs/{id}/start", {"wait": True})
    api.refused(f"programs/edit/{id}", {"command": "true 'argument-of-mine"})
    logs = [stack.output, *(stack.folder / "stack-logs").iterdir()]
    for log in logs:
        text = log.read_text()
        for secret in ("argument-of-mine", "value-of-mine", *([stack.token] if log != stack.output else [])):
            assert secret not in text, log


PROGRAMS: dict[str, dict[str, Any]] = {
    "third": {"boot": True, "priority": 30},
    "first": {"boot": True, "priority": 10},
    "second": {"boot": True, "priority": 20},
    "by hand": {},
    "stopped": {"boot": True},
    "off": {"boot": True, "enabled": False},
    "delayed": {"boot": True, "delay_seconds": 3600},
    "ports": {"boot": True, "port_range": {"start": 64000, "end": 64002}},
    "lazy": {"lazy_load": True, "port_range": {"start": 64003, "end": 64005}},
}


def test_second_start_brings_back_what_the_database_says(own_stack: Stack, tmp_path: Path) -> None:
    api = own_stack.start().api
    ids = {name: api.add("sleep 1000", name=name, **fields) for name, fields in PROGRAMS.items()}
    ids |= add_those_to_be_damaged(api, tmp_path)
    api.ok(f"programs/{ids['by hand']}/start", {"wait": True})
    api.ok(f"programs/{ids['stopped']}/stop")
    programs = api.get("programs").json()
    eventually(lambda: mirrored(own_stack) == programs)
    token = own_stack.token
    own_stack.process.send_signal(signal.SIGINT)  # Ctrl-C
    assert own_stack.process.wait(60) == 0
    assert own_stack.processes() == []

    damage(own_stack.folder, ids["first"], tmp_path)
    before = own_stack.output.stat().st_size
    api = own_stack.start().api
    shown = own_stack.output.read_text()[before:]
    assert "shown only now" not in shown
    assert "Log in   admin; forgotten: manage.py changepassword admin" in shown
    assert f"Token    for scripts of this host: in {own_stack.folder}/api-token\n" in shown
    assert "it is in" not in shown
    assert own_stack.token == token
    assert api.get("programs").json() == programs
    eventually(lambda: mirrored(own_stack) == programs)
    enabled = {f"program-{id}.json" for name, id in ids.items() if name != "off"}
    assert {file.name for file in (own_stack.folder / "conf.d").glob("program-*")} == enabled
    check_what_runs(own_stack, api, ids, tmp_path)


def mirrored(stack: Stack) -> Any:
    file = stack.folder / "programs.json"
    return json.loads(file.read_text()) if file.exists() else None


def add_those_to_be_damaged(api: Api, folder: Path) -> dict[str, int]:
    (folder / "directory").mkdir()
    (folder / "logs").mkdir()
    return {
        "no directory": api.add(name="no directory", boot=True, directory=str(folder / "directory")),
        "no log": api.add(name="no log", boot=True, stdout_logfile=str(folder / "logs" / "out.log")),
    }


def damage(state: Path, id: int, folder: Path) -> None:
    """Damage files, as may happen while the stack is down."""
    shutil.rmtree(folder / "directory")
    shutil.rmtree(folder / "logs")
    (folder / "logs").touch()
    (state / "programs.json").unlink()
    (state / "conf.d" / f"program-{id}.json").write_text("{")
    (state / "conf.d" / "program-777.json").write_text('{"group": "program-777", "argv": ["true"]}')
    (state / "conf.d" / "program-1.conf").write_text("[program:stray]\ncommand=true\n")
    (state / "supervisord.conf").write_text("[nonsense")


def check_what_runs(stack: Stack, api: Api, ids: dict[str, int], folder: Path) -> None:
    pids = [eventually(lambda name=name: api.pid(ids[name])) for name in ("first", "second", "third")]
    assert pids == sorted(pids), "lower priority starts first"
    for name in ("by hand", "off"):
        assert api.word(ids[name]) == "stopped", name
    assert api.pid(ids["stopped"])  # boot says that it is wanted whenever the stack starts
    assert api.word(ids["delayed"]) == "starting"
    assert [each["port"] for each in api.status(ids["ports"])["instances"]] == [64000, 64001, 64002]
    assert api.status(ids["lazy"])["instances"] == []
    error = api.until(ids["no directory"], "fatal")["last_run"]["error"]
    assert error == f"Working directory '{folder}/directory' can't be entered: no such file or directory"
    error = api.until(ids["no log"], "fatal")["last_run"]["error"]
    log = f"the log '{folder}/logs/out.log' can't be opened: not a directory"
    assert error == f"its logs or its terminal can't be made: {log}"
    assert len(tree(stack, ids["first"])) == 1


@pytest.mark.parametrize("name", ["programs.json", "conf.d"])
def test_what_is_out_of_line_is_mended_by_reconcile(api: Api, stack: Stack, name: str) -> None:
    id = api.add()
    eventually(lambda: f'"id": {id},' in (stack.folder / "programs.json").read_text())
    before = api.get("programs").json()
    if name == "conf.d":
        (stack.folder / name / f"program-{id}.json").unlink()
    else:
        (stack.folder / name).unlink()
    mended = stack.manage("reconcile")
    assert mended.returncode == 0, mended.stderr
    assert mirrored(stack) == before
    assert (stack.folder / "conf.d" / f"program-{id}.json").exists()
    api.ok(f"programs/{id}/start")
    assert stack.manage("reconcile").returncode == 0
    assert api.pid(id)
