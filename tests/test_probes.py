"""``ready``: a program is ready when its probe says so, and a start with ``wait`` waits for that."""

import os
import socket
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.processes import LONG_RUNNING, is_root, python, shell, started
from tests.stack import OTHER_USER, Api, Stack, eventually, free_port

SERVES_HTTP = """
import http.server, sys, time
statuses = {"/ok": 200, "/no": 503, "/moved": 302}
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(statuses.get(self.path, 404))
        self.send_header("Location", "/ok")
        self.end_headers()
        self.wfile.write(b"x" * 100_000)
    def log_message(self, *arguments): pass
time.sleep(float(sys.argv[2]))
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def web_server(port: Any, after: float = 0) -> str:
    return python(SERVES_HTTP, str(port), str(after))


def ready(api: Api, id: int) -> bool | None:
    return api.status(id)["status"].get("ready")  # type: ignore[no-any-return]


def test_wait_waits_for_the_port(api: Api) -> None:
    port = free_port()
    id = api.add(web_server(port, after=2), ready={"port": port})
    api.ok(f"programs/{id}/start", {"wait": True})
    socket.create_connection(("127.0.0.1", port), timeout=1).close()
    assert ready(api, id) is True


def test_wait_waits_for_the_answer_in_http(api: Api) -> None:
    port = free_port()
    id = api.add(web_server(port, after=2), ready={"http": f"http://localhost:{port}/ok"})
    began = time.monotonic()
    api.ok(f"programs/{id}/start", {"wait": True})
    assert time.monotonic() - began >= 1.9
    assert ready(api, id) is True


@pytest.mark.parametrize(("path", "status"), [("no", 503), ("moved", 302)])
def test_status_of_http_must_be_the_expected_one(api: Api, path: str, status: int) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/{path}"
    other = api.add(web_server(port), ready={"http": url})
    api.refused(f"programs/{other}/start", {"wait": True, "timeout": 3}, code=504)
    eventually(
        lambda: api.status(other)["status"].get("not_ready_because") == f"HTTP status {status} instead of 200"
    )
    api.ok(f"programs/edit/{other}", {"ready": {"http": url, "status": status}})
    eventually(lambda: ready(api, other))


def test_program_that_is_not_ready_says_why(api: Api) -> None:
    id = api.add(LONG_RUNNING, ready={"port": free_port()})
    started(api, id)
    status = eventually(lambda: (s := api.status(id)["status"]).get("not_ready_because") and s)
    assert (status["ready"], status["not_ready_because"]) == (False, "connection refused")


def test_stopped_program_is_not_ready(api: Api) -> None:
    id = api.add(LONG_RUNNING, ready={"command": "true"})
    assert api.status(id)["status"] == {"id": id, "status": "stopped", "ready": False}
    api.ok(f"programs/{id}/start", {"wait": True})
    assert ready(api, id) is True
    api.ok(f"programs/{id}/stop")
    assert ready(api, id) is False


def test_it_ceases_to_be_ready(api: Api, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    id = api.add(LONG_RUNNING, ready={"command": f"test -e {flag}", "interval": 1})
    started(api, id)
    eventually(lambda: api.word(id) == "running")
    assert ready(api, id) is False
    flag.touch()
    eventually(lambda: ready(api, id))
    flag.unlink()
    eventually(lambda: ready(api, id) is False)
    assert api.status(id)["status"]["not_ready_because"] == "its command ended with exit code 1"


def test_successes_are_needed_in_a_row(api: Api, tmp_path: Path) -> None:
    count = tmp_path / "count"
    probe = {"command": f"sh -c 'echo >> {count}'", "successes": 3, "interval": 1, "after_seconds": 1}
    id = api.add(LONG_RUNNING, ready=probe)
    began = time.monotonic()
    api.ok(f"programs/{id}/start", {"wait": True})
    assert time.monotonic() - began >= 2.9
    assert count.read_text() == "\n\n\n"


def test_command_runs_in_the_program_s_world(api: Api, tmp_path: Path) -> None:
    script = 'test "$MINE" = 1 && test "$PWD" = "$1" && test "$SUPERVISOR_GROUP_NAME" != ""'
    id = api.add(
        LONG_RUNNING,
        directory=str(tmp_path),
        environment={"MINE": "1"},
        ready={"command": shell(script, str(tmp_path))},
    )
    api.ok(f"programs/{id}/start", {"wait": True, "timeout": 10})


def test_command_has_the_variables_of_files_as_they_are_now(api: Api, tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("MINE=0\nTHEIRS=0\nPATH=/nowhere\n")
    script = 'test "$MINE$THEIRS$PATH$(umask)" = 12/nowhere0077'
    id = api.add(
        "sleep 100000",
        env_file=str(file),
        environment={"MINE": "1"},
        umask="077",
        ready={"command": shell(script), "interval": 1},
    )
    api.ok(f"programs/{id}/start")
    reason = "its command ended with exit code 1"
    eventually(lambda: api.status(id)["status"].get("not_ready_because") == reason)
    file.write_text("MINE=0\nTHEIRS=2\nPATH=/nowhere\n")
    eventually(lambda: api.status(id)["status"]["ready"])
    file.write_text("no variable: =")
    reason = "its command can't be run"
    eventually(lambda: api.status(id)["status"].get("not_ready_because") == reason)


@pytest.mark.skipif(not is_root(), reason="only root can run programs of others")
def test_command_runs_as_the_program_s_user(api: Api, tmp_path: Path) -> None:
    script = f'test "$(id -un)" = {OTHER_USER} && test "$(id -G)" = "$(id -G {OTHER_USER})"'
    id = api.add(LONG_RUNNING, user=OTHER_USER, directory="/", ready={"command": shell(script)})
    api.ok(f"programs/{id}/start", {"wait": True, "timeout": 10})


def test_command_that_hangs_is_ended_with_its_children(api: Api, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"sleep 1000 & echo $$ $! >> {pids}; wait"
    id = api.add(LONG_RUNNING, ready={"command": shell(script), "timeout": 1, "interval": 1})
    started(api, id)
    reason = "no answer within 1 seconds"
    eventually(lambda: api.status(id)["status"].get("not_ready_because") == reason)
    eventually(lambda: len(pids.read_text().splitlines()) >= 2)
    for pid in pids.read_text().splitlines()[0].split():
        eventually(lambda pid=pid: not is_alive(int(pid)))


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_commands_of_one_program_never_overlap(api: Api, tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = f"echo begin >> {log}; sleep 0.7; echo end >> {log}; exit 1"
    probe = {"command": shell(script), "interval": 1}
    id = api.add(LONG_RUNNING, ready=probe, health={**probe, "action": "none"})
    started(api, id)
    eventually(lambda: log.exists() and len(log.read_text().split()) >= 8)
    words = log.read_text().split()[:8]
    assert words == ["begin", "end"] * 4


def test_command_that_does_not_exist_says_so(api: Api) -> None:
    id = api.add(LONG_RUNNING, ready={"command": "/no/such/file"})
    started(api, id)
    eventually(lambda: api.status(id)["status"].get("not_ready_because") == "its command can't be run")


@pytest.mark.parametrize(("signal", "name"), [("TERM", "SIGTERM"), ("40", "signal 40")])
def test_command_that_a_signal_ends_says_which(api: Api, signal: str, name: str) -> None:
    """Those for real time have no names."""
    id = api.add(LONG_RUNNING, ready={"command": shell(f"kill -{signal} $$")})
    started(api, id)
    reason = f"its command was ended by {name}"
    eventually(lambda: api.status(id)["status"].get("not_ready_because") == reason)


def test_line_of_the_log_makes_it_ready(api: Api) -> None:
    script = "echo begins; sleep 1.5; echo 'listening on port 80'; sleep 1000"
    id = api.add(shell(script), ready={"log": r"listening on port \d+$"})
    api.ok(f"programs/{id}/start", {"wait": True})
    assert "listening" in api.logs(id)
    assert ready(api, id) is True
    api.ok(f"programs/{id}/restart")
    assert ready(api, id) is False
    eventually(lambda: ready(api, id))


def test_line_on_standard_error_counts_too_and_logs_may_be_off(api: Api) -> None:
    id = api.add(
        shell("printf 'it is '; echo other >&2; echo re\u00e4dy; sleep 1000"),
        ready={"log": "^it is re\u00e4dy$"},
        logs_enabled=False,
    )
    api.ok(f"programs/{id}/start", {"wait": True, "timeout": 10})
    id = api.add(shell("echo up >&2; sleep 1000"), ready={"log": "up"})
    api.ok(f"programs/{id}/start", {"wait": True, "timeout": 10})


@pytest.mark.parametrize("pattern", ["(a+)+$", ".*.*.*.*.*=x", "(a|aa)+$", "(.*)*b"])
def test_hostile_pattern_holds_nobody_up(api: Api, pattern: str) -> None:
    hostile = api.add(
        shell("while :; do printf '%04000d!\\n' 0 | tr 0 a; sleep 0.1; done"), ready={"log": pattern}
    )
    started(api, hostile)
    time.sleep(1)
    id = api.add(LONG_RUNNING, ready={"command": "true"})
    began = time.monotonic()
    api.ok(f"programs/{id}/start", {"wait": True})
    assert time.monotonic() - began < 5
    reason = "its regular expression takes too long to match"
    eventually(lambda: api.status(hostile)["status"].get("not_ready_because") == reason)


def test_instances_of_a_port_range_are_ready_each(api: Api) -> None:
    first = free_port()
    command = python(
        "import os, socket, sys, time\n"
        "port = int(os.environ['PORT'])\n"
        "if port == int(sys.argv[1]): server = socket.create_server(('127.0.0.1', port))\n"
        "time.sleep(1000)",
        str(first),
    )
    id = api.add(
        command + " {port}",
        port_range={"start": first, "end": first + 1},
        ready={"port": "{port}", "interval": 1},
    )
    api.ok(f"programs/{id}/start", {"port": first, "wait": True})
    assert api.status(id, port=first)["instance"]["ready"] is True
    api.refused(f"programs/{id}/start", {"port": first + 1, "wait": True, "timeout": 3}, code=504)
    shown = {each["port"]: each["ready"] for each in api.status(id)["instances"]}
    assert shown == {first: True, first + 1: False}


def test_change_of_the_probe_leaves_what_runs_alone(api: Api) -> None:
    id = api.add(LONG_RUNNING, ready={"command": "false"})
    pid = started(api, id)
    eventually(lambda: api.word(id) == "running")
    api.ok(f"programs/edit/{id}", {"ready": {"command": "true"}})
    eventually(lambda: ready(api, id))
    assert "ready" in api.get(f"programs/{id}").json()["program"]
    assert "ready" not in api.ok(f"programs/edit/{id}", {"ready": None})["program"]
    assert ready(api, id) is None
    assert api.pid(id) == pid


def test_probes_go_on_while_the_prober_is_restarted(own_stack: Stack, tmp_path: Path) -> None:
    api = own_stack.start().api
    flag = tmp_path / "flag"
    id = api.add(LONG_RUNNING, ready={"command": f"test -e {flag}", "interval": 1})
    started(api, id)
    log = api.add(shell("echo up; sleep 1000"), ready={"log": "up"})
    prober = own_prober(own_stack)
    os.kill(prober, 9)
    api.ok(f"programs/{log}/start")
    flag.touch()
    eventually(lambda: ready(api, id), 20)
    eventually(lambda: ready(api, log), 20)
    assert own_prober(own_stack) != prober


def own_prober(stack: Stack) -> int:
    return next(
        process.pid
        for process, owner in stack.owners().items()
        if owner.group == "prober" and "daemon_programs.supervisor.prober" in process.cmdline()
    )


def test_prober_sleeps_while_there_is_nothing_to_probe(own_stack: Stack) -> None:
    own_stack.start()
    prober = psutil.Process(own_prober(own_stack))
    eventually(lambda: prober.net_connections("unix"), what="it is connected")

    def switches() -> int:
        return prober.num_ctx_switches().voluntary

    time.sleep(1)
    before = switches()
    time.sleep(2)
    assert switches() == before
