"""The rules of the fields (docs/contract.md, section 3), each with its sentence, for add and edit."""

from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from daemon_programs.models import Program
from daemon_programs.validators import rules
from tests.processes import LONG_RUNNING, is_root
from tests.stack import OWN_USER, Api

REQUIRED = "Field '{}' is required and must be a non-empty string"
INTEGERS = {
    "delay_seconds": (0, 3600),
    "stop_grace_seconds": (0, 300),
    "start_seconds": (0, 3600),
    "restart_delay_seconds": (0, 3600),
    "restart_delay_max_seconds": (1, 86400),
    "stable_seconds": (1, 86400),
    "priority": (1, 999),
    "log_backups": (0, 100),
}
BOOLEANS = ("enabled", "boot", "logs_enabled", "lazy_load")
STRINGS = ("description", "directory", "stdout_logfile", "stderr_logfile", "port_param", "display")
PORTS = {"start": 64000, "end": 64001}

# One 128 KiB string is more than the kernel hands to a program; so is a MiB of short ones.
TOO_LONG = "x" * (128 * 1024)

REFUSED: list[tuple[dict[str, Any], str]] = [
    *[({field: value}, REQUIRED.format(field)) for field in ("name", "command", "user")
      for value in ("", "  ", None, 5, True, ["x"], {})],
    ({"name": "x" * 129}, "Field 'name' must have at most 128 characters"),
    ({"name": 'a"b'}, "Name must not contain quote characters"),
    ({"name": "a'b"}, "Name must not contain quote characters"),
    ({"name": "a\nb"}, "Name must not contain control characters"),
    ({"name": "a\x7fb"}, "Name must not contain control characters"),
    ({"name": "a\x85b"}, "Name must not contain control characters"),
    ({"name": "a\0b"}, "Field 'name' must not contain NUL characters"),
    ({"name": "a\ud800b"}, "Field 'name' must be valid Unicode text"),
    ({"command": "true\nfalse"}, "Field 'command' must not contain line breaks or NUL characters"),
    ({"command": "true\rfalse"}, "Field 'command' must not contain line breaks or NUL characters"),
    ({"command": "true\n"}, "Field 'command' must not contain line breaks or NUL characters"),
    ({"command": "true \0"}, "Field 'command' must not contain NUL characters"),
    ({"command": "true \udfff"}, "Field 'command' must be valid Unicode text"),
    ({"command": "echo 'open"}, "Field 'command' can't be split into arguments: no closing quotation"),
    ({"command": "echo \\"}, "Field 'command' can't be split into arguments: no escaped character"),
    ({"command": "''"}, REQUIRED.format("command")),
    ({"command": "'' x"}, REQUIRED.format("command")),
    ({"command": f"echo {TOO_LONG}"}, "Field 'command' has an argument that is longer than 128 KiB"),
    ({"command": "echo" + " x" * 110_000},
     "Field 'command' has more and longer arguments than a program can be given"),
    ({"user": "invalid-user"}, 'User "invalid-user" does not exist on the system'),
    ({"user": "0"}, 'User "0" does not exist on the system'),
    ({"user": "root\0"}, "Field 'user' must not contain NUL characters"),
    ({"description": "x" * 501}, "Field 'description' must have at most 500 characters"),
    ({"description": "\ud83d"}, "Field 'description' must be valid Unicode text"),
    *[({"autorestart": value}, "Field 'autorestart' must be one of: true, false, unexpected")
      for value in ("maybe", "True", "", None, 0, 1, ["true"], {"true": 1})],
    ({"directory": "/opt/missing"}, "Working directory '/opt/missing' does not exist"),
    ({"directory": "/etc/passwd"}, "Working directory '/etc/passwd' does not exist"),
    ({"directory": "tmp"}, "Field 'directory' must be an absolute path"),
    ({"directory": "~"}, "Field 'directory' must be an absolute path"),
    ({"directory": "/tmp\0"}, "Field 'directory' must not contain NUL characters"),
    ({"directory": "/" + "x" * 256}, "Field 'directory' must be a path that the system can have"),
    ({"stdout_logfile": "out.log"}, "Field 'stdout_logfile' must be an absolute path"),
    ({"stderr_logfile": "err.log"}, "Field 'stderr_logfile' must be an absolute path"),
    ({"stdout_logfile": "/tmp"}, "Field 'stdout_logfile' must name a file: '/tmp' is a folder"),
    ({"stdout_logfile": "/tmp/new/"}, "Field 'stdout_logfile' must name a file: '/tmp/new/' is a folder"),
    ({"stderr_logfile": "/tmp/a\nb"}, "Field 'stderr_logfile' must not contain control characters"),
    ({"stdout_logfile": "/etc/passwd/out.log"},
     "Field 'stdout_logfile': the folder of '/etc/passwd/out.log' can't be made or written"),
    ({"stderr_logfile": "/" + "a/" * 2050 + "x"},
     "Field 'stderr_logfile' must be a path that the system can have"),
    *[({field: value}, f"Field '{field}' must be between {low} and {high}")
      for field, (low, high) in INTEGERS.items() for value in (low - 1, high + 1, 10**30)],
    *[({field: value}, f"Field '{field}' must be an integer")
      for field in (*INTEGERS, "log_max_bytes") for value in ("5", 5.0, True, None, [5], {})],
    ({"log_max_bytes": -1}, "Field 'log_max_bytes' must be between 0 and 9007199254740991"),
    *[({field: value}, f"Field '{field}' must be true or false")
      for field in BOOLEANS for value in (0, 1, "true", None, [])],
    *[({field: value}, f"Field '{field}' must be a string")
      for field in STRINGS for value in (5, True, [], {})],
    *[({field: None}, f"Field '{field}' must be a string")
      for field in ("description", "stdout_logfile", "stderr_logfile")],
    *[({"environment": value}, "Field 'environment' must be an object that maps names to strings")
      for value in (None, "A=1", ["A"], 5)],
    *[({"environment": {"A": value}},
       "Field 'environment' must be an object that maps names to strings: 'A' is none")
      for value in (5, True, None, ["x"], {})],
    *[({"environment": {name: "x"}},
       f"Field 'environment' has a variable name that is not allowed: '{name[:128]}' "
       "(letters, digits and _, at most 128, no digit first)")
      for name in ("", "1A", "A-B", "A B", "A=B", "É", "A\n", "%(ENV_PATH)s", "A" * 129)],
    ({"environment": {"A": "x\0y"}},
     "Field 'environment' has a value that can't be passed on: 'A' must be text without NUL"),
    ({"environment": {"A": "\ud800"}},
     "Field 'environment' has a value that can't be passed on: 'A' must be text without NUL"),
    ({"environment": {"A": TOO_LONG}}, "Field 'environment' has a value that is longer than 128 KiB: 'A'"),
    ({"environment": {f"A{number}": "x" * 100_000 for number in range(6)}},
     "Field 'environment' has more and longer values than a program can be given"),
    *[({"environment": {f"SUPERVISOR_{name}": "x"}},
       f"Field 'environment' has a variable that the daemon sets itself: 'SUPERVISOR_{name}'")
      for name in ("ENABLED", "SERVER_URL", "GROUP_NAME", "PROCESS_NAME")],
    *[({"port_range": value}, "Field 'port_range' must be an object with the integers start and end")
      for value in ([8000, 8001], "8000-8001", 8000, True)],
    ({"port_range": {"start": 8000}}, "Field 'port_range' is missing 'end'"),
    ({"port_range": {"end": 8000}}, "Field 'port_range' is missing 'start'"),
    ({"port_range": {**PORTS, "step": 2}}, "Unknown field 'step'"),
    ({"port_range": {"start": "64000", "end": 64001}}, "Field 'start' must be an integer"),
    ({"port_range": {"start": 0, "end": 5}}, "Field 'start' must be between 1 and 65535"),
    ({"port_range": {"start": 65535, "end": 65536}}, "Field 'end' must be between 1 and 65535"),
    ({"port_range": {"start": 8001, "end": 8000}}, "Field 'port_range' must not end before it starts"),
    ({"port_range": {"start": 60000, "end": 61000}}, "Field 'port_range' must not have more than 1000 ports"),
    ({"port_param": "--ports"}, "port_param requires port_range to be set"),
    ({"port_param": "--port "}, "port_param requires port_range to be set"),
    ({"port_range": PORTS, "port_param": ""}, "Field 'port_param' must not be empty"),
    ({"port_range": PORTS, "port_param": " "}, "Field 'port_param' must not be empty"),
    ({"port_range": PORTS, "port_param": "'"},
     "Field 'port_param' can't be split into arguments: no closing quotation"),
    ({"boot": True, "lazy_load": True}, "Field 'lazy_load' can't be combined with boot: true"),
    *[({"display": value}, 'Field \'display\' must be an X display such as "1" or ":1"')
      for value in ("x", ":", "1:", ":1.", ":1;x", ":123456", " :1")],
    ({"nmae": "x"}, "Unknown field 'nmae'"),
    ({"pid": 1}, "Unknown field 'pid'"),
]  # fmt: skip

KEPT: list[dict[str, Any]] = [
    {"name": "x" * 128},
    {"name": " two  words "},
    {"description": "x" * 500},
    {"description": "日本\n\ttext"},
    {"command": "true;false\t|&>$(x) `y` #z"},
    {"autorestart": "true"},
    {"autorestart": "false"},
    {"autorestart": "unexpected"},
    {"delay_seconds": 3600},
    {"stop_grace_seconds": 0},
    {"stop_grace_seconds": 300},
    {"priority": 999},
    {"priority": 1},
    {"log_max_bytes": 0},
    {"log_max_bytes": 2**53 - 1},
    {"log_backups": 0},
    {"log_backups": 100},
    {"environment": {"A" * 128: "", "_": "\n\r\t;#%(x)s", "a1": "'\"\\"}},
    {"port_range": {"start": 1, "end": 1000}},
    {"port_range": {"start": 65535, "end": 65535}},
    {"port_range": PORTS, "port_param": "--listen="},
    {"port_range": PORTS, "port_param": "--listen 0.0.0.0 -p"},
    {"directory": "/tmp"},
    {"display": ":0"},
    {"display": "host.example:10.1"},
]


def ids(cases: list[Any]) -> list[str]:
    return [f"{number}-{'-'.join(case[0] if isinstance(case, tuple) else case)}"[:60]
            for number, case in enumerate(cases)]  # fmt: skip


@pytest.mark.parametrize(("fields", "sentence"), REFUSED, ids=ids(REFUSED))
def test_value_against_a_rule_is_refused_and_nothing_is_changed(
    api: Api, fields: dict[str, Any], sentence: str
) -> None:
    added = {"name": "new", "command": LONG_RUNNING, "user": OWN_USER, **fields}
    assert refusal(api, "programs/add", added) == sentence
    id = api.add()
    before = api.get("programs").text
    assert refusal(api, f"programs/edit/{id}", fields) == sentence
    assert api.get("programs").text == before


def refusal(api: Api, route: str, body: dict[str, Any]) -> str:
    answer = api.post(route, body)
    assert answer.status_code == 400, answer.text[:500]
    content = answer.json()
    assert content["success"] is False
    assert content["error"] in [
        sentence for sentences in content["errors"].values() for sentence in sentences
    ]
    return str(content["error"])


@pytest.mark.parametrize("fields", KEPT, ids=ids(KEPT))
def test_value_within_the_rules_is_kept_as_it_is(api: Api, fields: dict[str, Any]) -> None:
    body = {"name": "new", "command": LONG_RUNNING, "user": OWN_USER, "enabled": False, **fields}
    added = api.ok("programs/add", body)
    assert added["program"] == {**added["program"], **fields}
    id = api.add(enabled=False)
    api.ok(f"programs/remove/{added['id']}")
    edited = api.ok(f"programs/edit/{id}", fields)["program"]
    assert edited == {**edited, **fields}
    assert api.get(f"programs/{id}").json()["program"] == edited


@pytest.mark.parametrize("field", ["name", "command", "user"])
def test_missing_required_field_is_refused_by_add_only(api: Api, field: str) -> None:
    body = {"name": "new", "command": "true", "user": OWN_USER}
    del body[field]
    assert api.refused("programs/add", body) == REQUIRED.format(field)
    api.ok(f"programs/edit/{api.add()}", body)


def test_two_wrong_fields_are_both_reported(api: Api) -> None:
    answer = api.post("programs/add", {"command": "true", "user": OWN_USER, "priority": 0}).json()
    assert answer["errors"] == {
        "name": [REQUIRED.format("name")],
        "priority": ["Field 'priority' must be between 1 and 999"],
    }
    assert answer["error"] == REQUIRED.format("name")


@pytest.mark.parametrize(("sent", "kept"), [(True, "true"), (False, "false")])
def test_autorestart_takes_booleans_and_answers_with_strings(api: Api, sent: bool, kept: str) -> None:
    id = api.add(autorestart=sent)
    assert api.get(f"programs/{id}").json()["program"]["autorestart"] == kept


def test_display_has_one_form(api: Api) -> None:
    assert api.get(f"programs/{api.add(display='1')}").json()["program"]["display"] == ":1"


@pytest.mark.parametrize(
    ("field", "value"), [("directory", "/tmp"), ("display", ":1"), ("port_range", PORTS)]
)
def test_null_clears_a_nullable_field(api: Api, field: str, value: Any) -> None:
    id = api.add(**{field: value})
    cleared = api.ok(f"programs/edit/{id}", {field: None})["program"]
    assert field not in cleared
    assert "port_param" not in cleared
    assert field not in api.get(f"programs/{api.add(**{field: None})}").json()["program"]


def test_null_brings_the_default_port_parameter_back(api: Api) -> None:
    id = api.add(port_range=PORTS, port_param="-p")
    assert api.ok(f"programs/edit/{id}", {"port_param": None})["program"]["port_param"] == "--port"


@pytest.mark.parametrize("id", [0, -1, "5", 1.0, True, None, 2**53])
def test_wrong_id_is_refused(api: Api, id: Any) -> None:
    body = {"id": id, "name": "new", "command": "true", "user": OWN_USER}
    expected = {
        int: "Field 'id' must be between 1 and 9007199254740991",
    }.get(type(id), "Field 'id' must be an integer")
    assert api.refused("programs/add", body) == expected


def test_hoody_kit_follows_from_the_directory_and_can_not_be_sent(api: Api, tmp_path: Path) -> None:
    id = api.add(directory=str(tmp_path), hoody_kit=True)
    assert api.get(f"programs/{id}").json()["program"]["hoody_kit"] is False
    assert api.ok(f"programs/edit/{id}", {"hoody_kit": True})["program"]["hoody_kit"] is False


def test_folder_of_a_log_is_made_for_it(api: Api, tmp_path: Path) -> None:
    log = tmp_path / "new" / "deep" / "out.log"
    id = api.add("echo made", stdout_logfile=str(log))
    api.ok(f"programs/{id}/start", {"wait": True})
    assert log.read_text() == "made\n"


@pytest.mark.skipif(is_root(), reason="root may use every user")
def test_without_root_only_the_own_user_can_be_used(api: Api) -> None:
    body = {"name": "new", "command": "true", "user": "root"}
    assert api.refused("programs/add", body) == (
        f'User "root" can\'t be used: without root the daemon runs programs as "{OWN_USER}" only'
    )


def test_kits_lie_below_the_root_that_a_setting_names(settings: Any, tmp_path: Path) -> None:
    settings.KIT_ROOT = str(tmp_path / "kits")
    (tmp_path / "kits" / "one").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "kits" / "one")
    expected = {"kits": True, "kits/one": True, "link": True, "kits/../kits2": False, "kits2": False}
    for path, is_kit in expected.items():
        assert Program(directory=str(tmp_path / path)).hoody_kit is is_kit, path
    assert Program().hoody_kit is False


def test_a_setting_confines_logs_to_some_folders(settings: Any, tmp_path: Path) -> None:
    root, other = tmp_path / "logs", tmp_path / "more"
    root.mkdir()
    (root / "out-of-it").symlink_to(tmp_path)
    settings.LOG_ROOTS = [str(root), str(other)]
    for path in (f"{root}/deep/out.log", f"{other}/out.log", f"{settings.LOGS_DIR}/web/stdout.log"):
        rules.check_stdout_logfile(path)
    for path in (f"{root}2/out.log", f"{root}/../out.log", f"{root}/out-of-it/out.log", "/etc/out.log"):
        with pytest.raises(ValidationError) as refusal:
            rules.check_stderr_logfile(path)
        assert refusal.value.messages == [
            f"Field 'stderr_logfile' must lie below {root} or {other}, and '{path}' does not"
        ]


def test_a_setting_confines_working_directories(settings: Any, tmp_path: Path) -> None:
    root = tmp_path / "work"
    (root / "web").mkdir(parents=True)
    (root / "out-of-it").symlink_to(tmp_path)
    settings.WORK_ROOTS = [str(root)]
    for path in (str(root), f"{root}/web"):
        rules.check_directory(path)
    for path in (str(tmp_path), f"{root}/..", f"{root}/out-of-it", "/"):
        with pytest.raises(ValidationError) as refusal:
            rules.check_directory(path)
        assert refusal.value.messages == [f"Field 'directory' must lie below {root}, and '{path}' does not"]


def test_home_counts_as_the_directory_of_a_program_that_names_none(settings: Any, tmp_path: Path) -> None:
    settings.WORK_ROOTS = [str(tmp_path)]
    with pytest.raises(ValidationError) as refusal:
        Program(name="a", command="true", user=OWN_USER).clean()
    assert list(refusal.value.message_dict) == ["directory"]
    Program(name="a", command="true", user=OWN_USER, directory=str(tmp_path)).clean()
    Program(name="a", command="true", user="no such user").clean()  # its user is what is refused


def test_a_setting_names_the_users_that_programs_may_run_as(settings: Any) -> None:
    settings.ALLOWED_USERS = ["web", "db"]
    with pytest.raises(ValidationError) as refusal:
        rules.check_user(OWN_USER)
    sentence = "Field 'user' must be one of those that programs may run as: web, db"
    assert refusal.value.messages == [sentence]
    settings.ALLOWED_USERS.append(OWN_USER)
    rules.check_user(OWN_USER)
