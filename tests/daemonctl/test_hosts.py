"""``daemonctl --host``: commands against one host of a hub, or several side by side."""

import contextlib
import json
import signal
import threading
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest
import requests

from tests.daemonctl.conftest import Ctl, Open
from tests.fleet import hubs
from tests.stack import Api, Stack, eventually

NAMES = ("db-1", "web-1", "web-2")
GONE = "web-gone"


@pytest.fixture(scope="module")
def hub(stack: Stack) -> Iterator[Stack]:
    """The stack as its own hub: it has itself under several names, and one host that doesn't answer."""
    for name in NAMES:
        hubs.add_host(stack, stack, name, labels={"role": name.partition("-")[0]})
    yield stack
    for name in NAMES:
        hubs.remove_host(stack, name)


@pytest.fixture(scope="module")
def named(hub: Stack) -> Iterator[str]:
    """The address of the hub, which tells the names of its hosts, and of one more that it doesn't have."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def _answer(self, body: bytes | None = None) -> None:
            if self.path == "/api/v1/daemon/hosts":
                hosts = [{"name": each} for each in (*NAMES, GONE)]
                self._send(200, [json.dumps({"hosts": hosts}).encode()])
                return
            address, head = hub.url + self.path, dict(self.headers)
            with requests.request(
                self.command, address, data=body, headers=head, stream=True, timeout=60
            ) as there:
                self._send(there.status_code, there.iter_content(1 if "/stream" in address else None))

        def _send(self, status: int, parts: Iterable[bytes]) -> None:
            self.send_response(status)
            self.end_headers()
            with contextlib.suppress(OSError):
                for part in parts:
                    self.wfile.write(part)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def on(ctl: Ctl, named: str, hub: Stack) -> Ctl:
    """Return a function that runs a command against the hub."""
    return lambda *words, **more: ctl(*words, DAEMONCTL_URL=named, DAEMONCTL_TOKEN=hub.token, **more)


def test_every_command_works_against_one_host(ctl: Ctl, hub: Stack, api: Api) -> None:
    id = api.add(name="of a host", command="sh -c 'echo hello; exec sleep 600'")
    assert ctl("--host", "web-1", "start", "of a host").stdout == "of a host: started\n"
    assert "of a host" in ctl("--host", "web-1", "status").stdout
    assert "of a host  running" in ctl("status", "of a host", DAEMONCTL_HOST="web-1").stdout
    assert ctl("--host", "web-1", "logs", "of a host").stdout == "hello\n"
    assert ctl("--host", "web-1", "run", "--", "echo", "made").stdout == "made\n"
    assert ctl("--host", "web-1", "stop", "of a host").returncode == 0
    assert api.word(id) == "stopped"
    calls = hub.api.get("fleet/calls", host="web-1").json()["calls"]
    assert f"/api/v1/daemon/programs/{id}/stop" in [each["path"] for each in calls]
    missing = ctl("--host", "nowhere", "status")
    assert (missing.returncode, missing.stderr) == (3, "Host 'nowhere' not found\n")
    assert ctl("--host", "", "status", DAEMONCTL_HOST="nowhere").returncode == 0  # the daemon itself


def test_a_command_runs_on_a_host_that_the_hub_chooses(ctl: Ctl, terminal: Open, hub: Stack) -> None:
    hubs.until_current(hub, *NAMES)
    run = ("run", "--on", "role=web", "--", "sh", "-c")
    done = ctl(*run, "echo out; echo err >&2; exit 3")
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")
    ran = terminal(*run, "echo begun; exec sleep 600")
    ran.until("begun")
    ran.type("\x03")
    assert ran.ended() == 128 + signal.SIGINT
    calls = hub.api.get("fleet/calls", limit=3).json()["calls"]
    assert [call["path"].rpartition("/")[2] for call in calls] == ["stop", "quick-start", "quick-start"]
    assert {call["host"].partition("-")[0] for call in calls} == {"web"}
    launched = hub.api.get("quick-start", q="echo begun").json()["ephemeral_programs"]
    assert "running" not in [each["status"] for each in launched]


def test_a_context_may_be_a_host(ctl: Ctl, hub: Stack, api: Api, tmp_path: Path) -> None:
    api.add(name="in a context")
    token = tmp_path / "token"
    token.write_text(hub.token)
    add = ("context", "add", "web", hub.url, "--token-file", str(token), "--host", "web-1")
    assert ctl(*add).returncode == 0
    assert f"* web    {hub.url}, host web-1\n" in ctl("context", "list").stdout
    assert "in a context" in ctl("status").stdout
    assert ctl("status", DAEMONCTL_HOST="nowhere").returncode == 3
    assert ctl("--context", "web", "status", DAEMONCTL_HOST="nowhere").returncode == 0
    assert ctl("--host", "nowhere", "status").returncode == 3


def test_several_hosts_have_one_table_and_the_worst_exit_code(on: Ctl, api: Api) -> None:
    api.add(name="everywhere")
    shown = on("--host", "web-[12]", "status", "everywhere")
    head, *rows = (line.split() for line in shown.stdout.splitlines())
    assert head[:3] == ["HOST", "NAME", "STATE"]
    assert [row[:3] for row in rows] == [[host, "everywhere", "stopped"] for host in ("web-1", "web-2")]
    assert shown.returncode == 3
    wide = on("--host", "web-[12]", "status", "everywhere", "-o", "wide").stdout
    assert wide.startswith("HOST")
    some = on("--host", "web-*", "stop", "everywhere")
    assert sorted(some.stdout.splitlines()) == [
        "web-1    | everywhere: stopped",
        "web-2    | everywhere: stopped",
    ]
    assert (some.returncode, some.stderr) == (3, f"{GONE}: Host '{GONE}' not found\n")


def test_documents_of_several_hosts_have_the_host(on: Ctl, api: Api) -> None:
    id = api.add(name="told", command="sh -c 'echo hello; exec sleep 600'")
    assert on("--host", "web-1*", "start", "told", DAEMONCTL_HOST="x").stdout == "web-1 | told: started\n"
    listed = json.loads(on("--host", "web-[12]", "status", "told", "-o", "json").stdout)
    assert [(each["host"], each["id"], each["state"]) for each in listed] == [
        ("web-1", id, "running"), ("web-2", id, "running"),
    ]  # fmt: skip
    lines = on("--host", "web-[12]", "logs", "told", "--output=json").stdout.splitlines()
    documents = sorted((json.loads(line)["host"], json.loads(line)["line"]) for line in lines)
    assert documents == [("web-1", "hello"), ("web-2", "hello")]
    assert sorted(on("logs", "told", DAEMONCTL_HOST="*-1").stdout.splitlines()) == [
        "db-1  | hello",
        "web-1 | hello",
    ]


def test_several_hosts_are_followed_until_ctrl_c(terminal: Open, named: str, hub: Stack, api: Api) -> None:
    api.add(name="seen", command="sh -c 'echo hello; exec sleep 600'", boot=True)
    words = ("--host", "web-[12]", "logs", "-f", "seen")
    shell = terminal(*words, DAEMONCTL_URL=named, DAEMONCTL_TOKEN=hub.token)
    children = eventually(lambda: psutil.Process(shell.process.pid).children())
    for host in ("web-1", "web-2"):
        shell.until(f"{host} | hello")
    shell.type("\x03")
    assert shell.ended() == 130
    eventually(lambda: not any(map(psutil.Process.is_running, children)))


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("--host", "web-*", "run", "--", "true"), 2, "'run' needs the name of one host."),
        (("--host", "x-*", "status"), 3, "No host matches 'x-*'"),
        (("--host", "web-*", "status", "-o", "yaml"), 2, "shown as JSON: -o json."),
        (("--host", "web-*", "top"), 2, "'top' needs the name of one host."),
    ],
)
def test_what_several_hosts_can_t_do_is_told(
    on: Ctl, words: tuple[str, ...], code: int, sentence: str
) -> None:
    done = on(*words)
    assert done.returncode == code
    assert sentence in done.stderr


def test_help_is_shown_once(on: Ctl) -> None:
    assert on("--host", "web-*", "status", "--help").stdout.count("Usage:") == 1
