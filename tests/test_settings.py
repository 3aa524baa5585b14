"""The environment is read strictly: what can't be used stops the start, with an id and a hint."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hoody_site.checks import check_paths
from tests import scripts
from tests.stack import PROJECT, free_port

NAMES = [
    "STATE_DIR", "BIND_HOST", "BIND_PORT", "ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", "HTTPS", "THREADS",
    "TRUSTED_PROXIES", "PASSED_ENVIRONMENT", "ALLOWED_USERS", "WORK_ROOTS", "LOG_ROOTS", "KIT_ROOT",
    "EPHEMERAL_RETENTION", "WEBHOOKS_DEVELOPMENT", "DEBUG",
    "ENVIRONMENT_PROBLEMS", "UNKNOWN_VARIABLES", "SESSION_COOKIE_SECURE", "SECURE_PROXY_SSL_HEADER",
    "SECRET_KEY",
]  # fmt: skip
# One process reads them under many environments: each costs a moment instead of a start of Python.
SCRIPT = f"""
import importlib, json, os, sys
from hoody_site import settings
answers = []
for variables in json.load(sys.stdin):
    os.environ.update(variables)
    importlib.reload(settings)
    answers.append({{name: getattr(settings, name) for name in {NAMES}}})
    for name in variables:
        del os.environ[name]
json.dump(answers, sys.stdout, default=str)
"""
PASSED = ["PATH", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ"]
HOSTS = ["localhost", "127.0.0.1", "[::1]"]


def python(
    arguments: list[str], variables: dict[str, str], stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=PROJECT,
        env=environment(variables),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
    )


def environment(variables: dict[str, str]) -> dict[str, str]:
    """That of the tests, with these variables of the project and no others."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DAEMON_")}
    return {**clean, **variables}


def manage(command: str, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return scripts.run(environment(variables), PROJECT, command)


def read_all(environments: list[dict[str, str]]) -> list[dict[str, Any]]:
    """The settings as processes of these environments have them."""
    done = python(["-c", SCRIPT], {}, json.dumps(environments))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def read(**variables: str) -> dict[str, Any]:
    return read_all([variables])[0]


@functools.cache
def read_cases() -> dict[tuple[str, str], dict[str, Any]]:
    """The settings for each case of the tables below, by variable and text."""
    cases = [(variable, text) for variable, text, _ in [*ACCEPTED, *REFUSED]]
    answers = read_all([{f"DAEMON_{variable}": text} for variable, text in cases])
    return dict(zip(cases, answers, strict=True))


def check(**variables: str) -> str:
    """What ``manage.py check`` says against this environment."""
    done = manage("check", variables)
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr


def test_nothing_has_to_be_set() -> None:
    settings = read()
    assert settings.pop("SECRET_KEY")
    assert settings == {
        "STATE_DIR": str(PROJECT / "var"),
        "BIND_HOST": "127.0.0.1",
        "BIND_PORT": 8000,
        "ALLOWED_HOSTS": [*HOSTS, "127.0.0.1"],
        "CSRF_TRUSTED_ORIGINS": [],
        "HTTPS": False,
        "THREADS": 64,
        "PASSED_ENVIRONMENT": PASSED,
        "ALLOWED_USERS": [],
        "WORK_ROOTS": [],
        "LOG_ROOTS": [],
        "KIT_ROOT": "/hoody/plugins",
        "EPHEMERAL_RETENTION": 600,
        "WEBHOOKS_DEVELOPMENT": False,
        "DEBUG": False,
        "TRUSTED_PROXIES": [],
        "ENVIRONMENT_PROBLEMS": {},
        "UNKNOWN_VARIABLES": [],
        "SESSION_COOKIE_SECURE": False,
        "SECURE_PROXY_SSL_HEADER": None,
    }


def test_empty_variable_counts_as_not_set() -> None:
    from hoody_site.settings import DOCUMENTED

    empty, unset = read(**dict.fromkeys(DOCUMENTED, "")), read()
    assert empty.pop("SECRET_KEY")
    assert unset.pop("SECRET_KEY")
    assert empty == unset


ACCEPTED: list[tuple[str, str, dict[str, Any]]] = [
    ("STATE_DIR", "/srv/daemon", {"STATE_DIR": "/srv/daemon"}),
    ("STATE_DIR", "/srv//x/../daemon/", {"STATE_DIR": "/srv/daemon"}),
    ("BIND", "0.0.0.0:1", {"BIND_HOST": "0.0.0.0", "BIND_PORT": 1}),
    ("BIND", "[::1]:65535", {"BIND_HOST": "[::1]", "BIND_PORT": 65535}),
    ("BIND", "box:80", {"BIND_HOST": "box", "BIND_PORT": 80, "ALLOWED_HOSTS": [*HOSTS, "box"]}),
    ("ALLOWED_HOSTS", "a.example,.b.example", {
        "ALLOWED_HOSTS": [*HOSTS, "127.0.0.1", "a.example", ".b.example"]}),
    ("ALLOWED_HOSTS", "*", {"ALLOWED_HOSTS": [*HOSTS, "127.0.0.1", "*"]}),
    ("CSRF_TRUSTED_ORIGINS", "https://a.example:8443", {
        "CSRF_TRUSTED_ORIGINS": ["https://a.example:8443"]}),
    ("HTTPS", "true", {"HTTPS": True, "SESSION_COOKIE_SECURE": True,
                       "SECURE_PROXY_SSL_HEADER": ["HTTP_X_FORWARDED_PROTO", "https"]}),
    ("HTTPS", "off", {"HTTPS": False}),
    ("DEBUG", "1", {"DEBUG": True}),
    ("DEBUG", "TRUE", {"DEBUG": True}),
    ("DEBUG", "no", {"DEBUG": False}),
    ("TRUSTED_PROXIES", "10.0.0.0/8,::1", {"TRUSTED_PROXIES": ["10.0.0.0/8", "::1/128"]}),
    ("THREADS", "8", {"THREADS": 8}),
    ("THREADS", "512", {"THREADS": 512}),
    ("PASS_ENVIRONMENT", "DISPLAY,_x1", {"PASSED_ENVIRONMENT": [*PASSED, "DISPLAY", "_x1"]}),
    ("ALLOWED_USERS", "web,db-1", {"ALLOWED_USERS": ["web", "db-1"], "LOG_ROOTS": [f"{PROJECT}/var/logs"]}),
    ("WORK_ROOTS", "/srv,/opt", {"WORK_ROOTS": ["/srv", "/opt"]}),
    ("LOG_ROOTS", "/var/log", {"LOG_ROOTS": ["/var/log"]}),
    ("KIT_ROOT", "/opt/kits", {"KIT_ROOT": "/opt/kits"}),
    ("EPHEMERAL_RETENTION", "0", {"EPHEMERAL_RETENTION": 0}),
    ("WEBHOOKS_DEVELOPMENT", "yes", {"WEBHOOKS_DEVELOPMENT": True}),
]  # fmt: skip


@pytest.mark.parametrize(("variable", "text", "expected"), ACCEPTED)
def test_value_is_read_as_what_it_is(variable: str, text: str, expected: dict[str, Any]) -> None:
    settings = read_cases()[variable, text]
    assert settings["ENVIRONMENT_PROBLEMS"] == {}
    assert {name: settings[name] for name in expected} == expected


BIND = "must be host:port, such as 127.0.0.1:8000"
ABSOLUTE = "must be an absolute path"
ORIGINS = "must be origins such as https://daemon.example.com with commas between them; '{}' is none"


REFUSED: list[tuple[str, str, str]] = [
    ("STATE_DIR", "var", ABSOLUTE),
    ("STATE_DIR", "~/var", ABSOLUTE),
    *[(variable, f"/srv,{text}", f"must be absolute paths with commas between them; '{text}' is none")
      for variable in ("WORK_ROOTS", "LOG_ROOTS")
      for text in ("", "logs", "~/x", "/a b", "/%(here)s", "/a;b")],
    *[("ALLOWED_USERS", f"web,{text}", f"must be names of users with commas between them; '{text}' is none")
      for text in ("", "a b", "%s", "a;b", "/root")],
    ("KIT_ROOT", "./kits", ABSOLUTE),
    *[("BIND", text, BIND) for text in (
        "8000", ":8000", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:http",
        "::1:8000", "127.0.0.1:8000 ", "http://127.0.0.1:8000", "a b:80")],
    *[(variable, text, "Not a valid boolean.")
      for variable in ("DEBUG", "HTTPS", "WEBHOOKS_DEVELOPMENT") for text in ("maybe", "2", " ")],
    *[("THREADS", text, "Not a valid integer.") for text in ("many", "8.5", "0x10", " ")],
    *[("THREADS", text, "must be between 8 and 512") for text in ("7", "513", "-64")],
    *[("TRUSTED_PROXIES", f"::1,{text}",
       f"must be addresses or networks with commas between them; '{text}' is none")
      for text in ("", "proxy", "10.0.0.1/8", "10.0.0.0/33", "1.2.3")],
    *[("EPHEMERAL_RETENTION", text, "must be between 0 and 2592000") for text in ("-1", "2592001")],
    *[("PASS_ENVIRONMENT", f"A,{text}",
       f"must be names of variables with commas between them; '{text}' is none")
      for text in ("", " B", "B C", "1B", "B=1", "%(ENV_PATH)s", "B\n[rpcinterface:x]", "B%")],
    *[("ALLOWED_HOSTS", text, f"must be host names with commas between them; '{text}' is none")
      for text in ("https://a.example", "a.example/", "a.example:80", "a b")],
    *[("CSRF_TRUSTED_ORIGINS", text, ORIGINS.format(text))
      for text in ("a.example", "https://", "https://a.example/", "ftp://a.example")],
]  # fmt: skip


@pytest.mark.parametrize(("variable", "text", "sentence"), REFUSED)
def test_value_that_cannot_be_used_is_kept_for_the_check(variable: str, text: str, sentence: str) -> None:
    settings = read_cases()[variable, text]
    assert settings["ENVIRONMENT_PROBLEMS"] == {f"DAEMON_{variable}": [sentence]}


def test_e001_names_the_variable_and_gives_a_hint() -> None:
    said = check(DAEMON_THREADS="many")
    assert "(hoody.E001) DAEMON_THREADS: Not a valid integer." in said
    assert "HINT: See docs/settings.md" in said


def test_e002_guesses_what_was_meant() -> None:
    said = check(DAEMON_STATEDIR="/srv/daemon")
    assert "(hoody.E002) DAEMON_STATEDIR is not a setting of this project." in said
    assert "HINT: Did you mean DAEMON_STATE_DIR?" in said


def test_e002_without_a_guess_says_where_they_are_listed() -> None:
    said = check(DAEMON_QQQQQQQQQ="1")
    assert "(hoody.E002) DAEMON_QQQQQQQQQ" in said
    assert "HINT: docs/settings.md lists all of them." in said


def test_e003_refuses_paths_that_configuration_cannot_carry(tmp_path: Path) -> None:
    said = check(DAEMON_STATE_DIR=f"{tmp_path}/white space")
    assert "(hoody.E003) The state folder" in said
    assert "HINT: Use a path without white space" in said


@pytest.mark.parametrize("character", [" ", "%", ";", "#", "'", '"', "\\", ",", "\t", "\n"])
@pytest.mark.parametrize(("name", "what"), [("STATE_DIR", "The state"), ("BASE_DIR", "The project's")])
def test_e003_holds_for_each_character_and_both_folders(
    settings: Any, name: str, what: str, character: str
) -> None:
    setattr(settings, name, Path(f"/home/me/my{character}project"))
    (error,) = check_paths()
    assert (error.id, error.msg.partition(" folder")[0]) == ("hoody.E003", what)


def test_e004_refuses_paths_that_are_too_long_for_a_socket() -> None:
    said = check(DAEMON_STATE_DIR="/tmp/" + "x" * 80)
    assert "(hoody.E004) The path of the state folder" in said
    assert "HINT: Set DAEMON_STATE_DIR to a shorter path" in said


def test_longest_path_still_takes_the_longest_socket() -> None:
    longest = Path("/tmp", "x" * 79)
    done = manage("check", {"DAEMON_STATE_DIR": str(longest)})
    assert done.returncode == 0, done.stderr
    # The kernel takes 107 bytes, and a tmux session of the last number has the longest path.
    assert len(str(longest / "terminals" / "65535" / "socket")) <= 107


def test_all_problems_are_reported_at_once() -> None:
    said = check(DAEMON_BIND="nowhere", DAEMON_DEBUG="maybe", DAEMON_DEBUGG="1")
    assert [said.count(id) for id in ("hoody.E001", "hoody.E002")] == [2, 1]


def test_wrong_environment_stops_the_start_before_anything_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    variables = {
        "DAEMON_STATE_DIR": str(folder),
        "DAEMON_BIND": f"127.0.0.1:{free_port()}",
        "DAEMON_THREADS": "1",
    }
    done = manage("run_stack", variables)
    assert done.returncode == 1
    assert "hoody.E001" in done.stderr
    assert "Traceback" not in done.stderr
    assert not folder.exists()


def test_secret_key_is_that_of_the_state_folder(tmp_path: Path) -> None:
    (tmp_path / "secret-key").write_text("made at the first start\n")
    assert read(DAEMON_STATE_DIR=str(tmp_path))["SECRET_KEY"] == "made at the first start"


def test_state_folder_that_cannot_be_read_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "secret-key").mkdir()
    assert read(DAEMON_STATE_DIR=str(tmp_path))["SECRET_KEY"]


def test_garbage_is_looked_for_once_the_project_is_imported() -> None:
    script = "import gc; print(gc.isenabled(), gc.get_freeze_count() > 50_000)"
    assert python(["manage.py", "shell", "--no-imports", "-c", script], {}).stdout == "True True\n"
