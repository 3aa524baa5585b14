"""What is typed into a field arrives byte for byte in real children, or is refused by name.

A process' arguments and environment are read from the kernel, as they were at its start.
"""

import contextlib
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from daemon_programs.supervisor.client import Supervisor
from tests.processes import KEEPS_ARGUMENTS, arguments, environment, started
from tests.stack import OWN_USER, Api, Stack

# What has a meaning to supervisord's configuration, to shells, or to Python's formatting
SPECIAL = [
    "%(ENV_PATH)s", "%(here)s", "%%(here)s", "%(program_name)50000000s", "%", "%%", "%s", "{port}",
    "$PATH", "${PATH}", "`id`", "$(id)", "; comment", "a ; b", "# comment", "a # b", "[program:evil]",
    "'", '"', "'\"'", '"\'"', "\\", "\\n", "=", ":", ",", "*", "~", "!", "&&", "|", ">", "-", "--", "-c",
    "", " ", "  ", "\t", " \t ", "\x01", "\x7f", "\x1b[31m", "\x85", "\u2028", "\xa0;", "\u3000#", "\ufeff",
    "日本", "🚀", "e\u0301",
]  # fmt: skip
LINES = ["\n", "\r", "\r\n", "a\nb", "\n[program:evil]\ncommand=touch /tmp/evil\n", "a\n b", "\n;", "x\n\n"]

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
ARGUMENT = st.one_of(TEXT, st.sampled_from(SPECIAL), st.lists(st.sampled_from(SPECIAL)).map("".join))
ARGUMENT = ARGUMENT.map(lambda text: text.replace("\n", "").replace("\r", ""))
VALUE = st.one_of(
    ARGUMENT, TEXT, st.sampled_from(LINES), st.lists(st.sampled_from(SPECIAL + LINES)).map("".join)
)
NAME = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True).filter(
    lambda name: not name.startswith("SUPERVISOR_")
)
QUOTES = st.sampled_from(["single", "double", "backslash"])

# Each example is many values in one child: starting it is what takes time.
property_test = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def quoted(text: str, how: str) -> str:
    """An argument on a command line, in one of the ways that a shell knows."""
    if how == "double":
        return '"' + "".join("\\" + each if each in '\\"' else each for each in text) + '"'
    if how == "backslash" and text:
        return "".join("\\" + each for each in text)
    return shlex.quote(text)


@contextlib.contextmanager
def running(api: Api, command: str, **fields: Any) -> Any:
    id = api.add(command, **fields)
    try:
        yield started(api, id)
    finally:
        api.ok(f"programs/remove/{id}")


@property_test
@given(sent=st.lists(st.tuples(ARGUMENT, QUOTES), max_size=40))
@example(sent=[(text, "single") for text in SPECIAL])
@example(sent=[(text, "double") for text in SPECIAL])
@example(sent=[(text, "backslash") for text in SPECIAL])
def test_arguments_arrive_byte_for_byte(api: Api, sent: list[tuple[str, str]]) -> None:
    command = " ".join([KEEPS_ARGUMENTS, *(quoted(text, how) for text, how in sent)])
    with running(api, command) as pid:
        assert arguments(pid)[3:] == [text.encode() for text, _ in sent]


@property_test
@given(sent=st.dictionaries(NAME, VALUE, max_size=40))
@example(sent={f"V{number}": text for number, text in enumerate(SPECIAL + LINES)})
def test_environment_values_arrive_byte_for_byte(api: Api, sent: dict[str, str]) -> None:
    with running(api, KEEPS_ARGUMENTS, environment={"PATH": "/usr/bin:/bin", **sent}) as pid:
        arrived = environment(pid)
    assert {name: arrived[name.encode()] for name in sent} == {
        name: value.encode() for name, value in sent.items()
    }


@property_test
@given(rest=TEXT.map(lambda text: text.replace("\n", "").replace("\r", "")))
@example(rest="'")
@example(rest='a"b')
@example(rest="\\")
@example(rest="a;b #c")
def test_command_line_is_split_as_a_shell_would_or_refused(api: Api, rest: str) -> None:
    command = f"{KEEPS_ARGUMENTS} {rest}"
    expected, problem = split(command)
    if problem:
        body = {"name": "new", "command": command, "user": OWN_USER}
        sentence = f"Field 'command' can't be split into arguments: {problem}"
        assert api.refused("programs/add", body) == sentence
        return
    with running(api, command) as pid:
        assert arguments(pid) == [argument.encode() for argument in expected]


def split(command: str) -> tuple[list[str], str]:
    try:
        return shlex.split(command), ""
    except ValueError as problem:
        return [], str(problem).lower()


@property_test
@given(sent=st.text(max_size=20), where=st.sampled_from(["command", "environment"]))
@example(sent="a\0b", where="environment")
@example(sent="\ud800", where="environment")
@example(sent="a\0b", where="command")
@example(sent="a\rb", where="command")
@example(sent="\udfff", where="command")
def test_what_can_not_be_carried_is_refused_by_name(api: Api, sent: str, where: str) -> None:
    refused = "\0" in sent or any("\ud800" <= each <= "\udfff" for each in sent)
    if where == "command":
        refused = refused or "\n" in sent or "\r" in sent
        fields = {"command": f"{KEEPS_ARGUMENTS} {shlex.quote(sent)}"}
    else:
        fields = {"command": KEEPS_ARGUMENTS, "environment": {"V": sent}}
    body = json.dumps({"name": "carried", "user": OWN_USER, **fields})
    answer = api.post("programs/add", data=body, headers={"Content-Type": "application/json"})
    if refused:
        assert answer.status_code == 400
        assert f"'{where}'" in answer.json()["error"]
        return
    assert answer.status_code == 200, answer.text
    pid = started(api, answer.json()["id"])
    assert (arguments(pid)[3] if where == "command" else environment(pid)[b"V"]) == sent.encode()
    api.ok(f"programs/remove/{answer.json()['id']}")


def test_longest_argument_and_value_arrive(api: Api) -> None:
    """The kernel takes 128 KiB for one string, with the NUL at its end."""
    longest = "x" * (128 * 1024 - 1)
    with running(api, f"{KEEPS_ARGUMENTS} {longest}", environment={"V": longest[2:]}) as pid:
        assert arguments(pid)[3] == longest.encode()
        assert environment(pid)[b"V"] == longest[2:].encode()


def test_many_long_values_arrive_together(api: Api) -> None:
    """As much as fits into a request also fits into a process."""
    sent = {f"V{number}": "é" * 30_000 for number in range(8)}
    command = " ".join([KEEPS_ARGUMENTS, *["y" * 50_000] * 9])
    fields = {"name": "long", "user": OWN_USER, "command": command, "environment": sent}
    body = json.dumps(fields, ensure_ascii=False).encode()
    answer = api.post("programs/add", data=body, headers={"Content-Type": "application/json"})
    pid = started(api, answer.json()["id"])
    assert {name: environment(pid)[name.encode()].decode() for name in sent} == sent
    assert arguments(pid)[3:] == [b"y" * 50_000] * 9


EVIL = "x\n[program:evil]\ncommand=touch {}\n[rpcinterface:evil]\n%(ENV_HOME)s %(ENV_DAEMON_STATE_DIR)s ; #"


@pytest.mark.parametrize(
    "field",
    ["description", "environment", "directory", "display", "port_param", "name", "command", "user",
     "stdout_logfile", "stderr_logfile"],
)  # fmt: skip
def test_no_field_adds_a_section_or_reads_the_stacks_environment(
    api: Api, stack: Stack, tmp_path: Path, field: str
) -> None:
    touched = tmp_path / "evil"
    evil = EVIL.format(touched)
    one_line = evil.replace("\n", " ")
    if field == "directory":
        (folder := tmp_path / "folder" / evil).mkdir(parents=True)
        value: Any = str(folder)
    else:
        value = {"environment": {"V": evil}, "command": f"{KEEPS_ARGUMENTS} {shlex.quote(one_line)}"}.get(
            field, evil
        )
    if field.endswith("logfile"):
        value = f"{tmp_path}/{one_line}"
    ports = {"port_range": {"start": 64000, "end": 64000}} if field == "port_param" else {}
    body = {"name": "evil one", "command": KEEPS_ARGUMENTS, "user": OWN_USER, **ports, field: value}
    answer = api.post("programs/add", body)
    assert answer.status_code in (200, 400), answer.text
    if answer.status_code == 200:
        id = answer.json()["id"]
        assert answer.json()["program"][field] == value
        pid = started(api, id, 64000 if ports else None)
        given_to = b"\n".join([*arguments(pid), *environment(pid).values()]).decode()
        assert str(stack.folder) not in given_to.replace(
            environment(pid)[b"SUPERVISOR_SERVER_URL"].decode(), ""
        )
        api.ok(f"programs/{id}/restart", {"all": True})
    states = Supervisor(stack.folder / "supervisor.sock").states()
    known = {f"program-{each['id']}" for each in api.get("programs", enabled="true").json()["programs"]}
    assert states["programs"].keys() == known
    assert states["stack"].keys() == {"api", "scheduler", "listener", "prober"}
    assert not touched.exists()
