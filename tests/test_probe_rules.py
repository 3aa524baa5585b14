"""The rules of ``ready`` and ``health``, and what keeps hostile values of them from doing harm."""

import asyncio
import contextlib
import time
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from daemon_programs.models import Program
from daemon_programs.supervisor.prober.checks import Checks
from daemon_programs.supervisor.prober.hosts import may_be_probed
from daemon_programs.supervisor.prober.lines import Lines, Pattern
from daemon_programs.supervisor.probes import Probe
from daemon_programs.validators import probes
from tests.stack import OWN_USER, Api, free_port

PORT_WORD = 'must be between 1 and 65535, or "{port}"'
URL_WORD = "must be a URL such as http://127.0.0.1:{port}/healthz"
KINDS = "must have exactly one of: port, http, command, log, notify"


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ([], "Field 'ready' must be an object"),
        ("x", "Field 'ready' must be an object"),
        ({}, f"Field 'ready' {KINDS}"),
        ({"interval": 1}, f"Field 'ready' {KINDS}"),
        ({"port": 1, "log": "x"}, f"Field 'ready' {KINDS}"),
        ({"port": 1, "colour": 1}, "Field 'ready' has an unknown key: 'colour'"),
        ({"port": 1, "status": 200}, "Field 'ready' can't have 'status' together with 'port'"),
        ({"log": "x", "interval": 2}, "Field 'ready' can't have 'interval' together with 'log'"),
        ({"notify": True, "timeout": 2}, "Field 'ready' can't have 'timeout' together with 'notify'"),
        ({"port": 1, "failures": 2}, "Field 'ready' can't have 'failures' together with 'port'"),
        ({"port": 0}, f"Field 'ready': 'port' {PORT_WORD}"),
        ({"port": 65536}, f"Field 'ready': 'port' {PORT_WORD}"),
        ({"port": True}, f"Field 'ready': 'port' {PORT_WORD}"),
        ({"port": "80"}, f"Field 'ready': 'port' {PORT_WORD}"),
        ({"http": 1}, f"Field 'ready': 'http' {URL_WORD}"),
        ({"http": "localhost:80"}, f"Field 'ready': 'http' {URL_WORD}"),
        ({"http": "https://localhost/"}, f"Field 'ready': 'http' {URL_WORD}"),
        ({"http": "http://localhost:99999/"}, f"Field 'ready': 'http' {URL_WORD}"),
        ({"http": "http://localhost:0/"}, f"Field 'ready': 'http' {URL_WORD}"),
        ({"http": "http://a@localhost/"}, f"Field 'ready': 'http' {URL_WORD}"),
        ({"http": "http://localhost/#x"}, f"Field 'ready': 'http' {URL_WORD}"),
        ({"http": "http://localhost/ HTTP/1.1"}, f"Field 'ready': 'http' {URL_WORD}"),
        ({"http": "http://localhost/\r\nX: y"}, f"Field 'ready': 'http' {URL_WORD}"),
        ({"http": "http://[::1/"}, f"Field 'ready': 'http' {URL_WORD}"),
        ({"http": "http://localhost/\u00e4"}, f"Field 'ready': 'http' {URL_WORD}"),
        (
            {"http": "http://169.254.169.254/"},
            "Field 'ready': 'http' must lead to this host, and '169.254.169.254' is none of its names "
            "(DAEMON_PROBE_HOSTS)",
        ),
        (
            {"http": "http://example.com/"},
            "Field 'ready': 'http' must lead to this host, and 'example.com' is none of its names "
            "(DAEMON_PROBE_HOSTS)",
        ),
        ({"command": ""}, "Field 'ready': 'command' must not be empty"),
        ({"command": "''"}, "Field 'ready': 'command' must not be empty"),
        ({"command": "'x"}, "Field 'ready': 'command' can't be split into arguments: no closing quotation"),
        (
            {"command": "a\nb"},
            "Field 'ready': 'command' must be a command line of at most 4096 characters, without line breaks",
        ),
        ({"log": ""}, "Field 'ready': 'log' must be a regular expression of at most 1000 characters"),
        ({"log": "x" * 1001}, "Field 'ready': 'log' must be a regular expression of at most 1000 characters"),
        ({"log": "\ud800"}, "Field 'ready': 'log' must be a regular expression of at most 1000 characters"),
        ({"notify": 1}, "Field 'ready': 'notify' must be true"),
        ({"notify": False}, "Field 'ready': 'notify' must be true"),
        ({"port": 1, "interval": 0}, "Field 'ready': 'interval' must be an integer between 1 and 3600"),
        ({"port": 1, "interval": 1.5}, "Field 'ready': 'interval' must be an integer between 1 and 3600"),
        ({"port": 1, "timeout": 301}, "Field 'ready': 'timeout' must be an integer between 1 and 300"),
        ({"port": 1, "timeout": True}, "Field 'ready': 'timeout' must be an integer between 1 and 300"),
        (
            {"port": 1, "after_seconds": -1},
            "Field 'ready': 'after_seconds' must be an integer between 0 and 3600",
        ),
        ({"port": 1, "successes": 0}, "Field 'ready': 'successes' must be an integer between 1 and 100"),
        (
            {"http": "http://[::1]/", "status": 99},
            "Field 'ready': 'status' must be an integer between 100 and 599",
        ),
    ],
)
def test_rules_of_ready(value: Any, sentence: str) -> None:
    with pytest.raises(ValidationError) as problem:
        probes.check_ready(value)
    assert problem.value.messages == [sentence]


@pytest.mark.parametrize("pattern", ["(", "a{2,1}", "(?P<x", "\\", "a" + "(" * 400, "x{99999999999}"])
def test_log_must_be_a_regular_expression(pattern: str) -> None:
    with pytest.raises(ValidationError, match="Field 'ready': 'log' is no regular expression: "):
        probes.check_ready({"log": pattern})


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"log": "x"}, "Field 'health' must have exactly one of: port, http, command, notify"),
        ({"notify": True, "timeout": 1}, "Field 'health' can't have 'timeout' together with 'notify'"),
        ({"port": 1, "failures": 0}, "Field 'health': 'failures' must be an integer between 1 and 100"),
        (
            {"port": 1, "grace_seconds": 86401},
            "Field 'health': 'grace_seconds' must be an integer between 0 and 86400",
        ),
        ({"port": 1, "action": "stop"}, "Field 'health': 'action' must be one of: restart, none"),
        ({"port": 1, "action": []}, "Field 'health': 'action' must be one of: restart, none"),
    ],
)
def test_rules_of_health(value: Any, sentence: str) -> None:
    with pytest.raises(ValidationError) as problem:
        probes.check_health(value)
    assert problem.value.messages == [sentence]


@pytest.mark.parametrize(
    "value",
    [
        {"port": 1},
        {"port": "{port}", "interval": 3600, "timeout": 300, "after_seconds": 3600, "successes": 100},
        {"http": "http://127.0.0.1:{port}/a?b=c", "status": 599},
        {"http": "http://127.1.2.3"},
        {"http": "http://[::1]:80/"},
        {"http": "http://LOCALHOST/"},
        {"command": "pg_isready -h '/a b'"},
        {"log": "^listening on (http|unix):.*\\d+$"},
        {"notify": True},
    ],
)
def test_what_may_be_said(value: Any) -> None:
    probes.check_ready(value)
    if "log" not in value:
        probes.check_health(value)


def test_api_refuses_with_the_same_sentences(api: Api) -> None:
    body = {"name": "new", "command": "true", "user": OWN_USER}
    for field in ("ready", "health"):
        assert api.refused("programs/add", {**body, field: []}) == f"Field '{field}' must be an object"
        sentence = f"Field '{field}' contains {{port}}, which requires port_range to be set"
        for probe in ({"port": "{port}"}, {"http": "http://127.0.0.1:{port}/"}):
            assert api.refused("programs/add", {**body, field: probe}) == sentence
            assert api.refused(f"programs/edit/{api.add()}", {field: probe}) == sentence
    sentence = "Field 'ready' can't be combined with ready_port, which is its short form"
    assert api.refused("programs/add", {**body, "ready": {"port": 80}, "ready_port": 80}) == sentence


@pytest.mark.parametrize(
    ("host", "allowed", "may"),
    [
        ("127.0.0.1", [], True),
        ("127.9.9.9", [], True),
        ("::1", [], True),
        ("::ffff:127.0.0.1", [], True),
        ("localhost", [], True),
        ("localhost.example.com", [], False),
        ("10.0.0.1", [], False),
        ("::ffff:10.0.0.1", [], False),
        ("0.0.0.0", [], False),
        ("2130706433", [], False),
        ("127.1", [], False),
        ("10.0.0.1", ["10.0.0.0/8"], True),
        ("::ffff:10.0.0.1", ["10.0.0.0/8"], True),
        ("11.0.0.1", ["10.0.0.0/8", "db.internal"], False),
        ("db.internal", ["10.0.0.0/8", "db.internal"], True),
        ("fd00::1", ["fd00::/8"], True),
    ],
)
def test_probes_stay_on_this_host_unless_a_setting_says_otherwise(
    host: str, allowed: list[str], may: bool
) -> None:
    assert may_be_probed(host, allowed) is may


def test_host_is_checked_at_each_connection_too() -> None:
    """The setting may have been another one when the program was saved."""
    check = Checks(frozenset()).of(Probe("http", "http://10.0.0.1/"), None)
    assert asyncio.run(check()) == "10.0.0.1 may not be probed (DAEMON_PROBE_HOSTS)"


def test_probe_never_takes_itself_for_the_program() -> None:
    """When a socket connects to an unused port often enough, the kernel connects it to itself."""

    async def try_often() -> int:
        check = Checks(frozenset()).of(Probe("port", free_port()), None)
        succeeded = 0
        for _ in range(5000):
            with contextlib.suppress(ConnectionRefusedError):
                succeeded += await check() == ""
        return succeeded

    assert asyncio.run(try_often()) == 0


def test_lines_are_put_together_and_cut() -> None:
    lines = Lines()
    assert lines.complete("stdout", b"one\r\ntw") == ["one"]
    assert lines.complete("stderr", b"other\n") == ["other"]
    assert lines.complete("stdout", b"o") == []
    assert lines.complete("stdout", b"\n\xff\n") == ["two", "\ufffd"]
    assert lines.complete("stdout", b"x" * 5000) == []
    assert lines.complete("stdout", b"y\nz\n") == ["x" * 4096, "z"]


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", ".*.*.*.*.*=x", "(.*)*b", "(a?){500}a{500}b"])
def test_pattern_is_given_up_in_time(pattern: str) -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        Pattern(pattern).occurs_in(["a" * 4000 + "!"] * 1000)
    assert time.monotonic() - began < 5


def test_pattern_may_be_looked_for_in_many_lines() -> None:
    pattern = Pattern(r"^listening on \d+$")
    for _ in range(20):
        assert not pattern.occurs_in(["GET / 200"] * 100)
    assert pattern.occurs_in(["no", "listening on 80"])


def test_old_files_of_programs_have_no_probes() -> None:
    specification = Program(id=1, name="p", command="true", user=OWN_USER).specification()
    assert (specification.ready, specification.health, specification.depends_on) == (None, None, [])
