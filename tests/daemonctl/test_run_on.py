"""``daemonctl run --on``: a command on a host that a hub chooses. The hub is one of a few lines."""

import json
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from daemonctl.cli import main

ON_HOST = "/api/v1/daemon/hosts/batch-2/api/v1/daemon/quick-start/quick_1"
STATUS = {"success": True, "status": "exited", "last_run": {"exit_code": 3, "signal": None, "error": None}}


class Hub(ThreadingHTTPServer):
    """Answers as a hub whose host has run a command, and remembers what it was asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def do_GET(self) -> None:
        self._answer(None)

    def _answer(self, body: Any) -> None:
        self.server.asked.append((self.path, body))
        self.send_response(200)
        self.end_headers()
        if "/logs/stream" in self.path:
            stream = "err" if "type=stderr" in self.path else "out"
            self.wfile.write(f'event: line\ndata: {{"line": "{stream}"}}\n\n'.encode())
            self.wfile.write(b'event: end\ndata: {"status": "exited"}\n\n')
        else:
            launched = {"success": True, "temporary_id": "quick_1", "host": "batch-2"}
            self.wfile.write(json.dumps(launched if body else STATUS).encode())

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[Hub]:
    interrupt = signal.getsignal(signal.SIGINT)  # which the command takes
    with Hub() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()
    signal.signal(signal.SIGINT, interrupt)


def run(hub: Hub, home: Path, *arguments: str) -> Result:
    env = {
        "DAEMONCTL_URL": f"http://127.0.0.1:{hub.server_port}",
        "DAEMONCTL_TOKEN": "hdt_x",
        "XDG_CONFIG_HOME": str(home),
    }
    return CliRunner().invoke(main, ["run", *arguments], env=env)


def test_output_and_exit_code_come_from_the_host(hub: Hub, tmp_path: Path) -> None:
    done = run(hub, tmp_path, "--on", "role=batch", "--on", "batch-*", "--on", "size=", "--", "echo", "a b")
    assert (done.exit_code, done.stdout, done.stderr) == (3, "out\n", "err\n")
    [(path, body), *followed] = hub.asked
    assert path == "/api/v1/daemon/fleet/quick-start"
    assert body["hosts"] == {"names": ["batch-*"], "labels": ["role=batch", "size="]}
    assert body["command"] == "echo 'a b'"
    assert {path.partition("?")[0] for path, _ in followed} == {f"{ON_HOST}/logs/stream", f"{ON_HOST}/status"}


def test_detached_it_prints_the_host_and_the_id(hub: Hub, tmp_path: Path) -> None:
    done = run(hub, tmp_path, "-d", "--on", "batch-2", "--", "true")
    assert (done.exit_code, done.stdout) == (0, "batch-2 quick_1\n")
    assert hub.asked[0][1]["hosts"] == {"names": ["batch-2"]}


def test_without_it_the_daemon_runs_the_command(hub: Hub, tmp_path: Path) -> None:
    assert run(hub, tmp_path, "-d", "--", "true").stdout == "quick_1\n"
    [(path, body)] = hub.asked
    assert path == "/api/v1/daemon/quick-start"
    assert "hosts" not in body
