"""``POST quick-start``, the list, and ``ephemeral.json``."""

import json
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.processes import arguments, environment, is_root, python, shell
from tests.stack import OTHER_USER, OWN_USER, Api, Stack, eventually
from tests.temporary_programs import Quick, created, files, mirrored, records, timestamp

ISO = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


# What it answers


def test_launch_answers_with_id_name_and_time_at_once(quick: Quick) -> None:
    answer = quick.launch("sleep 1000")
    id = answer["temporary_id"]
    assert re.fullmatch(r"quick_\d+", id)
    assert re.fullmatch(ISO, answer["created_at"])
    assert answer == {
        "success": True,
        "temporary_id": id,
        "name": f"quick_sleep_{id.removeprefix('quick_')}",
        "status": "starting",
        "created_at": answer["created_at"],
    }
    assert timestamp(answer["created_at"]) == int(created(id))


def test_time_to_live_is_the_difference_of_the_times(quick: Quick) -> None:
    answer = quick.launch(ttl=86400)
    assert timestamp(answer["expires_at"]) - timestamp(answer["created_at"]) == 86400
    assert quick.status(answer["temporary_id"])["expires_at"] == answer["expires_at"]


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("/bin/sleep 1000", "sleep"),
        ("sh -c 'exec sleep 1000'", "sh"),
        (python("import time; time.sleep(1000)"), r"python[\d.]*"),
        ("'a b;c$d' x", "abcd"),
        ("'ж' x", "program"),
    ],
)
def test_name_is_made_of_the_program_and_the_id(quick: Quick, command: str, word: str) -> None:
    answer = quick.launch(command)
    digits = answer["temporary_id"].removeprefix("quick_")
    assert re.fullmatch(f"quick_{word}_{digits}", answer["name"])


def test_display_is_returned_in_its_normal_form(quick: Quick) -> None:
    for display in ("1", ":1"):
        answer = quick.launch(display=display)
        assert answer["display"] == ":1"
        assert environment(quick.pid(answer["temporary_id"]))[b"DISPLAY"] == b":1"
        assert quick.status(answer["temporary_id"])["display"] == ":1"
    assert "display" not in quick.launch()


def test_status_of_a_running_program(quick: Quick) -> None:
    launched = quick.launch("sleep 1000", ttl=1000)
    answer = quick.until(launched["temporary_id"], "running")
    assert re.fullmatch(r"0:00:\d\d", answer["uptime"])
    assert answer == {
        **launched,
        "status": "running",
        "pid": quick.pid(launched["temporary_id"]),
        "uptime": answer["uptime"],
    }


def test_list_has_what_runs(quick: Quick) -> None:
    launched = quick.launch("sleep 1000", ttl=1000, environment={"SECRET": "s"})
    id = launched["temporary_id"]
    other = quick.run("sleep 1001", name="a name of its own")
    pid = quick.until(id, "running")["pid"]
    shown = quick.listed()
    assert shown[id] == {
        "temporary_id": id,
        "name": launched["name"],
        "command": "sleep 1000",
        "user": OWN_USER,
        "status": "running",
        "pid": pid,
        "uptime": shown[id]["uptime"],
        "created_at": launched["created_at"],
        "expires_at": launched["expires_at"],
    }
    assert shown[other]["name"] == "a name of its own"
    assert "expires_at" not in shown[other]


# What it takes


def test_command_user_directory_and_environment_reach_the_program(quick: Quick, tmp_path: Path) -> None:
    passed = ["", "a b", "%(ENV_HOME)s", "; # $HOME `x`", "ü\t'\""]
    variables = {"A": "1", "B_": "%s ; 'x' \"y\"\nz", "HOME": "/nowhere"}
    code = "import os,time; os.write(1, os.getcwd().encode()); time.sleep(1000)"
    id = quick.run(python(code, *passed), directory=str(tmp_path), environment=variables)
    pid = quick.pid(id)
    assert arguments(pid)[-len(passed) :] == [argument.encode() for argument in passed]
    given = environment(pid)
    assert {name: given[name.encode()].decode() for name in variables} == variables
    eventually(lambda: quick.logs(id) == str(tmp_path))


@pytest.mark.skipif(not is_root(), reason="it takes root to run programs as another user")
def test_it_runs_as_its_user_from_their_home(quick: Quick) -> None:
    answer = quick.launch("sh -c 'id -un; pwd; echo $HOME'", user=OTHER_USER, wait="exit")
    name, folder, home = answer["stdout"].splitlines()
    assert (name, home) == (OTHER_USER, "/nonexistent")
    assert folder in (home, "/")


def test_logs_go_where_they_are_asked_to(quick: Quick, tmp_path: Path) -> None:
    out, err = tmp_path / "deep" / "out.log", tmp_path / "err.log"
    answer = quick.launch(
        shell("echo one; echo two >&2"), stdout_logfile=str(out), stderr_logfile=str(err), wait="exit"
    )
    assert (answer["stdout"], answer["stderr"]) == ("one", "two")
    assert (out.read_text(), err.read_text()) == ("one\n", "two\n")


def test_default_logs_lie_in_a_folder_of_its_own(quick: Quick, stack: Stack) -> None:
    logs = stack.folder / "logs"
    answer = quick.launch("echo one", wait="exit")
    assert (logs / answer["name"] / "stdout.log").read_text() == "one\n"
    folders = set()
    for _ in range(2):
        id = quick.launch("echo two", name="twice the same name", wait="exit")["temporary_id"]
        file = Path(quick.api.get(f"quick-start/{id}/logs").json()["log_file"])
        assert file.read_text() == "two\n"
        folders.add(file.parent)
    assert len(folders) == 2


def test_logs_route_is_that_of_programs(quick: Quick) -> None:
    id = quick.launch(shell("seq 500; seq 3 >&2"), wait="exit")["temporary_id"]
    answer = quick.api.get(f"quick-start/{id}/logs", type="stderr", lines=2).json()
    assert answer == {
        "success": True, "logs": "2\n3", "type": "stderr", "lines": 2, "log_file": answer["log_file"],
    }  # fmt: skip
    assert answer["log_file"].endswith("/stderr.log")
    lines = [str(number) for number in range(401, 501)]
    assert quick.api.get(f"quick-start/{id}/logs").json()["logs"].splitlines() == lines
    for query, sentence in (
        ({"type": "both"}, "Invalid 'type' value: must be 'stdout' or 'stderr'"),
        ({"lines": "0"}, "lines"),
        ({"lines": "10001"}, "lines"),
        ({"lines": "x"}, "lines"),
    ):
        refused = quick.api.get(f"quick-start/{id}/logs", **query)
        assert refused.status_code == 400
        assert sentence in refused.json()["error"]


def test_logs_before_anything_is_printed_are_empty(quick: Quick) -> None:
    id = quick.run(delay_seconds=100)
    assert quick.logs(id) == ""
    off = quick.launch("echo one", logs_enabled=False, wait="exit")
    assert (off["stdout"], quick.logs(off["temporary_id"])) == ("", "")


def test_logs_are_rotated(quick: Quick, tmp_path: Path) -> None:
    log = tmp_path / "out.log"
    quick.launch(shell("seq 1000"), stdout_logfile=str(log), log_max_bytes=1000, log_backups=1, wait="exit")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out.log", "out.log.1"]


def test_delayed_launch_is_starting_meanwhile(quick: Quick) -> None:
    answer = quick.launch("echo ran", delay_seconds=1, wait="exit")
    assert answer["duration_seconds"] >= 1
    assert answer["stdout"] == "ran"
    later = quick.run("echo ran", delay_seconds=100)
    assert quick.status(later)["status"] == "starting"
    assert "pid" not in quick.status(later)


def test_terminal_session_can_be_attached_to_and_is_exclusive(quick: Quick, api: Api, tmp_path: Path) -> None:
    launched = quick.launch("sleep 1000", terminal_id=4100, terminal_shell="tmux", wait=True)
    assert re.fullmatch(r"tmux -S \S+ attach -t \S+", launched["attach"])
    taken = "Terminal 4100 is already in use by another program"
    body = {"command": "true", "user": OWN_USER, "terminal_id": 4100}
    assert api.refused("quick-start", body) == taken
    lasting = {"name": "lasting", "command": "true", "user": OWN_USER, "terminal_id": 4100}
    assert api.refused("programs/add", lasting) == taken
    file = tmp_path / "programs.json"
    file.write_text(json.dumps({"programs": [{"id": 9100, **lasting}]}))
    imported = quick.stack.manage("import_programs", "--keep-others", str(file))
    assert imported.stderr.strip() == f"CommandError: Program 'lasting': {taken}"
    quick.stop(launched["temporary_id"])
    assert "attach" not in quick.status(launched["temporary_id"])
    api.add(terminal_id=4100)
    assert api.refused("quick-start", body) == taken


# What it refuses


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"command": None}, "Field 'command' is required and must be a non-empty string"),
        ({"command": ""}, "Field 'command' is required and must be a non-empty string"),
        ({"command": "  "}, "Field 'command' is required and must be a non-empty string"),
        ({"command": 5}, "Field 'command' is required and must be a non-empty string"),
        ({"user": None}, "Field 'user' is required and must be a non-empty string"),
        ({"user": ""}, "Field 'user' is required and must be a non-empty string"),
        ({"user": "invalid-user"}, 'User "invalid-user" does not exist on the system'),
        ({"name": ""}, "Field 'name' is required and must be a non-empty string"),
        ({"name": "a 'quoted' one"}, "Name must not contain quote characters"),
        ({"autorestart": "always"}, "Field 'autorestart' must be one of: true, false, unexpected"),
        ({"directory": "/opt/missing"}, "Working directory '/opt/missing' does not exist"),
        ({"ttl": 0}, "Field 'ttl' must be between 1 and 86400"),
        ({"ttl": 86401}, "Field 'ttl' must be between 1 and 86400"),
        ({"ttl": "5"}, "Field 'ttl' must be an integer"),
        ({"ttl": True}, "Field 'ttl' must be an integer"),
        ({"ttl": 1.5}, "Field 'ttl' must be an integer"),
        ({"timeout": 0}, "Field 'timeout' must be between 1 and 300"),
        ({"timeout": 301}, "Field 'timeout' must be between 1 and 300"),
        ({"timeout": None}, "Field 'timeout' must be an integer"),
        ({"wait": "true"}, "Field 'wait' must be true, false or 'exit'"),
        ({"wait": 1}, "Field 'wait' must be true, false or 'exit'"),
        ({"wait": 0}, "Field 'wait' must be true, false or 'exit'"),
        ({"wait": ["exit"]}, "Field 'wait' must be true, false or 'exit'"),
        ({"terminal_shell": "bash"}, "terminal_shell requires terminal_id to be set"),
        ({"command": "sh -c 'open"}, "Field 'command' can't be split into arguments: no closing quotation"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_launched(
    quick: Quick, stack: Stack, fields: dict[str, Any], sentence: str
) -> None:
    before = set(records(stack)), files(stack)
    body = {"command": "sleep 1000", "user": OWN_USER, **fields}
    assert quick.api.refused("quick-start", body) == sentence
    assert (set(records(stack)), files(stack)) == before


@pytest.mark.parametrize("field", ["command", "user"])
def test_required_field_that_is_missing_is_named(quick: Quick, field: str) -> None:
    body = {name: value for name, value in {"command": "true", "user": OWN_USER}.items() if name != field}
    sentence = f"Field '{field}' is required and must be a non-empty string"
    assert quick.api.refused("quick-start", body) == sentence


@pytest.mark.parametrize(
    "field",
    ["boot", "enabled", "description", "port_range", "port_param", "lazy_load", "webhooks", "id", "tll"],
)
def test_field_that_temporary_programs_do_not_have_is_named(quick: Quick, field: str) -> None:
    sentence = quick.api.refused("quick-start", {"command": "true", "user": OWN_USER, field: None})
    assert f"'{field}'" in sentence


def test_launch_without_a_body_is_refused(quick: Quick) -> None:
    sentence = "Field 'command' is required and must be a non-empty string"
    assert quick.api.refused("quick-start") == sentence


def test_name_that_is_in_use_is_refused_until_it_is_free(quick: Quick, api: Api) -> None:
    lasting = api.add(name="a lasting name")
    first = quick.run(name="a temporary name")
    for name in ("a lasting name", "a temporary name"):
        sentence = api.refused("quick-start", {"command": "true", "user": OWN_USER, "name": name})
        assert sentence == f"Name '{name}' is already in use by another program"
    quick.stop(first)
    quick.run(name="a temporary name")
    api.ok(f"programs/remove/{lasting}")
    quick.run(name="a lasting name")


def test_name_is_given_once_when_many_want_it(quick: Quick, stack: Stack) -> None:
    body = {"command": "sleep 1000", "user": OWN_USER, "name": "wanted"}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: stack.api.post("quick-start", body), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7
    quick.ids += [answer.json()["temporary_id"] for answer in answers if answer.ok]


@pytest.mark.parametrize(
    "name", ["x" * 128, "../../etc/passwd", "a/b", ".", "ünïcode : [brackets]", "~x", "all"]
)
def test_any_legal_name_works(quick: Quick, stack: Stack, name: str) -> None:
    answer = quick.launch("echo ran", name=name, wait="exit")
    assert (answer["name"], answer["stdout"]) == (name, "ran")
    log = Path(quick.api.get(f"quick-start/{answer['temporary_id']}/logs").json()["log_file"])
    assert log.parent.parent == stack.folder / "logs"


# Where it appears, and where not


@pytest.mark.parametrize(
    "id", ["quick_1", "quick_999999999999999999999999", "1", "quick_", "quick_x", "program-1", "%00", "a%0Ab"]
)
def test_unknown_id_is_404_on_every_route(quick: Quick, id: str) -> None:
    routes = [("GET", "status"), ("GET", "logs"), ("POST", "stop")]
    for method, route in routes:
        answer = quick.api.session.request(method, f"{quick.api.base}/quick-start/{id}/{route}", timeout=60)
        assert answer.status_code == 404
        if id.startswith("quick_"):
            assert answer.json()["error"] == f"Ephemeral program with ID {id} not found"
        assert answer.json()["success"] is False


def test_other_methods_are_refused(quick: Quick) -> None:
    id = quick.run()
    for method, route in (
        ("PUT", "quick-start"),
        ("DELETE", "quick-start"),
        ("POST", f"quick-start/{id}/status"),
        ("POST", f"quick-start/{id}/logs"),
        ("GET", f"quick-start/{id}/stop"),
        ("DELETE", f"quick-start/{id}/stop"),
    ):
        answer = quick.api.session.request(method, f"{quick.api.base}/{route}", timeout=60)
        assert answer.status_code == 405, route
        assert answer.json()["success"] is False
    assert id in quick.listed()


def test_it_is_no_program(quick: Quick, api: Api, stack: Stack) -> None:
    """Never in ``programs.json``, in the lists of programs, or within reach of their verbs."""
    lasting = api.add(name="something to wait for")
    launched = quick.launch()
    id, name = launched["temporary_id"], launched["name"]
    eventually(lambda: "something to wait for" in (stack.folder / "programs.json").read_text())
    for text in (
        (stack.folder / "programs.json").read_text(),
        api.get("programs", include_stats="true").text,
        api.get("programs", name=name).text,
        api.get("status").text,
    ):
        assert id not in text
        assert name not in text
    for route in (
        f"programs/{id}/stop",
        f"programs/{id}/start",
        f"programs/remove/{id}",
        f"programs/{id}/disable",
    ):
        assert api.refused(route, code=404) == f"Program with ID {id} not found"
    api.ok(f"programs/remove/{lasting}")
    assert quick.status(id)["status"] in ("starting", "running")


def test_mirror_has_the_live_ones_with_their_configuration(quick: Quick, stack: Stack) -> None:
    launched = quick.launch(
        "sleep 1000",
        name="ünï",
        ttl=1000,
        autorestart=True,
        environment={"A": "ä"},
        directory="/tmp",
        priority=7,
        log_backups=0,
        display="1",
        terminal_id=4200,
        terminal_shell="sh",
        terminal_interactive=False,
    )
    id = launched["temporary_id"]
    shown = eventually(lambda: mirrored(stack).get(id))
    folder = stack.folder / "logs" / f"ünï_{id.removeprefix('quick_')}"
    assert shown == {
        "temporary_id": id,
        "name": "ünï",
        "command": "sleep 1000",
        "user": OWN_USER,
        "created_at": launched["created_at"],
        "expires_at": launched["expires_at"],
        "ttl": 1000,
        "autorestart": "true",
        "directory": "/tmp",
        "environment": {"A": "ä"},
        "priority": 7,
        "delay_seconds": 0,
        "stdout_logfile": str(folder / "stdout.log"),
        "stderr_logfile": str(folder / "stderr.log"),
        "logs_enabled": True,
        "log_max_bytes": 5242880,
        "log_backups": 0,
        "display": ":1",
        "terminal_id": 4200,
        "terminal_shell": "sh",
        "terminal_interactive": False,
    }
    quick.stop(id)
    eventually(lambda: id not in mirrored(stack))


def test_mirror_is_text_for_other_tools_and_private(quick: Quick, stack: Stack) -> None:
    id = quick.run(name="ünï")
    eventually(lambda: id in mirrored(stack))
    file = stack.folder / "ephemeral.json"
    text = file.read_text(encoding="utf-8")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert text == json.dumps(json.loads(text), ensure_ascii=False, indent=2) + "\n"
    assert "ünï" in text
