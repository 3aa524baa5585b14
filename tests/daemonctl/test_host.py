"""``daemonctl host``: the hosts of a hub at the command line."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.daemonctl.conftest import COMMAND, Ctl, environment
from tests.stack import PROJECT, Api, Stack, free_port

Piped = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def hub(stack: Stack) -> Iterator[Api]:
    """The administrator's client of a hub, which is left without hosts."""
    yield stack.api
    for host in stack.api.get("hosts").json()["hosts"]:
        stack.api.ok(f"hosts/remove/{host['name']}")


@pytest.fixture
def piped(stack: Stack, tmp_path: Path) -> Piped:
    """Return a function that runs a command with text on its standard input."""

    def run(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments],
            cwd=PROJECT,
            env=environment(stack, tmp_path),
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


def test_a_host_is_added_listed_checked_and_removed(hub: Api, stack: Stack, ctl: Ctl, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(f"{stack.token}\n")
    given = ["--token-file", str(token), "--label", "site=fra", "--notes", "rack 7"]
    assert ctl("host", "list").stdout == "No hosts.\n"
    assert ctl("host", "add", "web-1", stack.url, *given).stdout == "web-1: added\n"
    host = hub.get("hosts/web-1").json()["host"]
    assert (host["labels"], host["notes"]) == ({"site": "fra"}, "rack 7")
    listed = ctl("host", "list", "-o", "wide").stdout
    assert re.search(r"^NAME +STATE +AGE +RUNNING +VERSION +WHY +URL +LABELS$", listed, re.M)
    assert re.search(rf"^web-1 .* {re.escape(stack.url)} +site=fra$", listed, re.M)
    assert ctl("host", "list", "-o", "name", "--label", "site=fra").stdout == "web-1\n"
    assert ctl("host", "list", "-o", "name", "--label", "site=ams").stdout == ""
    documents = json.loads(ctl("host", "list", "-o", "json").stdout)
    assert [each["name"] for each in documents] == ["web-1"]
    checked = ctl("host", "check", "web-1")
    assert (checked.returncode, checked.stderr) == (0, "")
    assert re.fullmatch(r"web-1: answers within \d+ ms(, version \S+)?\n", checked.stdout)
    assert ctl("host", "rm", "web-1").stdout == "web-1: removed\n"
    assert ctl("host", "list", "-o", "name").stdout == ""


def test_a_token_comes_from_standard_input_or_a_file_and_from_nowhere_else(
    hub: Api, stack: Stack, piped: Piped
) -> None:
    assert piped(f"{stack.token}\n", "host", "add", "web-1", stack.url, "--token-stdin").returncode == 0
    assert hub.ok("hosts/web-1/check")["problem"] is None
    refused = piped("", "host", "add", "web-2", stack.url)
    assert refused.returncode == 2
    assert "Give the token by --token-file or by --token-stdin." in refused.stderr


def test_a_host_that_does_not_work_is_refused_and_checked_with_exit_code_1(
    hub: Api, stack: Stack, piped: Piped, ctl: Ctl
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    given = ["host", "add", "web-1", url, "--token-stdin"]
    sentence = "Host 'web-1' can't be reached: Connection refused"
    refused = piped("x\n", *given)
    assert (refused.returncode, refused.stderr) == (1, f"{sentence}\n")
    assert piped("x\n", *given, "--no-check").returncode == 0
    checked = ctl("host", "check", "web-1")
    assert (checked.returncode, checked.stderr) == (1, f"web-1: {sentence}\n")


@pytest.mark.parametrize(("name", "code"), [("web-9", 3), ("a/b", 2), ("..", 2)])
def test_what_is_no_host(ctl: Ctl, name: str, code: int) -> None:
    for command in (["rm"], ["check"], ["edit", "--notes", "x"]):
        assert ctl("host", *command, name).returncode == code


def test_an_invitation_is_a_code_and_nothing_else(hub: Api, stack: Stack, ctl: Ctl) -> None:
    code = ctl("host", "invite", "web-1", "--label", "site=fra", "--ttl", "60").stdout.strip()
    assert re.fullmatch(r"hdi_[\w-]{32}", code)
    sent = {"code": code, "url": stack.url, "token": stack.token}
    assert stack.client(None).ok("hosts/join", sent)["name"] == "web-1"
    assert hub.get("hosts/web-1").json()["host"]["labels"] == {"site": "fra"}
    refused = ctl("host", "invite", "--ttl", "1")
    assert (refused.returncode, refused.stderr) == (1, "Field 'ttl' must be between 60 and 86400\n")


def test_what_is_given_of_a_host_is_changed(hub: Api, stack: Stack, piped: Piped, tmp_path: Path) -> None:
    given = {"name": "web-1", "url": stack.url, "token": stack.token, "labels": {"site": "fra", "rack": "7"}}
    hub.ok("hosts/add", given)

    def edit(*options: str, text: str = "", code: int = 0) -> str:
        done = piped(text, "host", "edit", "web-1", *options)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout or done.stderr

    assert edit("--label", "site=ams", "--no-label", "rack", "--notes", "moved") == "web-1: edited\n"
    host = hub.get("hosts/web-1").json()["host"]
    assert (host["labels"], host["notes"], host["url"]) == ({"site": "ams"}, "moved", stack.url)

    url = stack.url.replace("127.0.0.1", "localhost")
    assert "'token' is required to change 'url' or 'ca'" in edit("--url", url, code=1)
    token = tmp_path / "token"
    token.write_text(stack.token)
    edit("--url", url, "--token-file", str(token))
    assert hub.get("hosts/web-1").json()["host"]["url"] == url
    assert "does not accept the token" in edit("--token-stdin", text="hdt_wrong\n", code=1)
    edit("--token-stdin", "--no-check", text="hdt_wrong\n")
    assert "does not accept the token" in hub.ok("hosts/web-1/check")["problem"]

    ca = tmp_path / "ca.pem"
    ca.write_text("none")
    edit("--no-ca", "--notes", "")
    assert "'ca'" in edit("--ca", str(ca), "--token-file", str(token), "--no-check", code=1)
    assert "Give --ca or --no-ca." in edit("--ca", str(ca), "--no-ca", code=2)
    assert "Say what is to be changed." in edit("--no-check", code=2)


def test_names_of_hosts_are_completed(hub: Api, stack: Stack, ctl: Ctl) -> None:
    body = {"url": stack.url, "token": "x", "check": False}
    for name in ("web-1", "web-2", "db-1"):
        hub.ok("hosts/add", {"name": name, **body})
    for typed, place in (
        ("host rm we", "3"),
        ("host edit we", "3"),
        ("--host we", "2"),
        ("rollout apply --hosts we", "4"),
    ):
        line = f"daemonctl {typed}"
        done = ctl(_DAEMONCTL_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=place)
        assert [word.partition(",")[2] for word in done.stdout.splitlines()] == ["web-1", "web-2"]
