"""In which order a program's processes are asked to end: its own first, then what is left of its tree."""

import contextlib
import json
import shutil
import socket
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.processes import is_alive, shell, started, tree
from tests.stack import Api, Stack, eventually, free_port
from tests.temporary_programs import Quick
from tests.temporary_programs import tree as tree_of_launch

# Each notes when it is asked first, by a file of its own: another process could be asked to end as well.
# `$1` is the path before their names; `$2` is what the process itself does then.
NOTES = 'trap "" HUP; note() { [ -e "$told.$1" ] || : > "$told.$1"; }; told=$1; '
CHILD = "trap 'note child; exit' TERM; echo ready; while :; do sleep 0.05; done"
WITH_CHILD = NOTES + f'({CHILD}) & trap "note main; $2" TERM; while :; do sleep 0.05; done'


def program(told: Path, then: str) -> str:
    """A program with a child; when it is asked to end, it does so and so."""
    return shell(WITH_CHILD, str(told), then)


def asked(told: Path) -> dict[str, float]:
    """When each process was asked to end, in their order."""
    notes = [(file.stat().st_mtime, file.suffix[1:]) for file in told.parent.glob(f"{told.name}.*")]
    return {name: at for at, name in sorted(notes)}


def ready(api: Api, id: int) -> int:
    pid = started(api, id)
    eventually(lambda: "ready" in api.logs(id))
    return pid


def stop(api: Api, id: int) -> tuple[float, float]:
    """When a stop began, and how long it took."""
    begun, clock = time.time(), time.monotonic()
    api.ok(f"programs/{id}/stop")
    return begun, time.monotonic() - clock


def test_process_itself_is_asked_first_and_the_rest_when_it_has_ended(
    api: Api, stack: Stack, tmp_path: Path
) -> None:
    id = api.add(program(tmp_path / "told", "sleep 1; exit"), stop_grace_seconds=20)
    ready(api, id)
    begun, took = stop(api, id)
    times = asked(tmp_path / "told")
    assert list(times) == ["main", "child"]
    assert times["main"] - begun < 0.7
    assert 1 <= times["child"] - times["main"] < 2
    assert took < 5
    assert tree(stack, id) == []


def test_tree_is_asked_when_three_quarters_of_the_grace_period_are_over(
    api: Api, stack: Stack, tmp_path: Path
) -> None:
    id = api.add(program(tmp_path / "told", ":"), stop_grace_seconds=4)
    ready(api, id)
    begun, took = stop(api, id)
    times = asked(tmp_path / "told")
    assert list(times) == ["main", "child"]
    assert 3 <= times["child"] - begun < 3.8
    assert 4 <= took < 5.5
    assert tree(stack, id) == []


def test_grace_period_is_counted_from_the_beginning(api: Api, stack: Stack) -> None:
    """The child is not given another one after the end of the process itself."""
    stubborn = "(trap '' TERM; echo ready; while :; do sleep 0.05; done) & "
    id = api.add(
        shell(stubborn + "trap 'sleep 2; exit' TERM; while :; do sleep 0.05; done"), stop_grace_seconds=3
    )
    ready(api, id)
    _, took = stop(api, id)
    assert 3 <= took < 4.5
    assert tree(stack, id) == []


@pytest.mark.parametrize("shell_name", ["sh", "bash"])
def test_whole_tree_of_a_terminal_is_asked_at_once(
    api: Api, stack: Stack, tmp_path: Path, shell_name: str
) -> None:
    id = api.add(
        program(tmp_path / "told", ":"),
        terminal_id=21_400,
        terminal_shell=shell_name,
        terminal_interactive=False,
        stop_grace_seconds=4,
    )
    ready(api, id)
    begun, took = stop(api, id)
    assert asked(tmp_path / "told")["child"] - begun < 1
    assert took < 5.5
    assert tree(stack, id) == []


WAYS: dict[str, Callable[[Api, int], object]] = {
    "stop": lambda api, each: api.ok(f"programs/{each}/stop"),
    "restart": lambda api, each: api.ok(f"programs/{each}/restart", {"wait": True}),
    "edit": lambda api, each: api.ok(f"programs/edit/{each}", {"environment": {"A": "1"}}),
    "disable": lambda api, each: api.ok(f"programs/{each}/disable"),
    "remove": lambda api, each: api.ok(f"programs/remove/{each}"),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_end_a_program_keeps_the_order(api: Api, tmp_path: Path, way: str) -> None:
    id = api.add(program(tmp_path / "told", "sleep 0.5; exit"), stop_grace_seconds=20)
    ready(api, id)
    WAYS[way](api, id)
    assert list(asked(tmp_path / "told")) == ["main", "child"]


@pytest.mark.parametrize("way", ["stop", "ttl"])
def test_temporary_programs_keep_the_order(quick: Quick, stack: Stack, tmp_path: Path, way: str) -> None:
    options = {"ttl": 2} if way == "ttl" else {}
    id = quick.run(program(tmp_path / "told", "sleep 0.5; exit"), stop_grace_seconds=20, **options)
    eventually(lambda: "ready" in quick.logs(id))
    if way == "stop":
        quick.stop(id)
    eventually(lambda: len(asked(tmp_path / "told")) == 2)
    assert list(asked(tmp_path / "told")) == ["main", "child"]
    eventually(lambda: tree_of_launch(stack, id) == [])


def test_end_of_the_stack_keeps_the_order(own_stack: Stack, tmp_path: Path) -> None:
    api = own_stack.start().api
    files = [tmp_path / f"told-{number}" for number in range(3)]
    for told in files:
        ready(api, api.add(program(told, "sleep 0.5; exit"), stop_grace_seconds=20))
    assert own_stack.stop(30) == 0
    assert [list(asked(told)) for told in files] == [["main", "child"]] * 3
    assert own_stack.processes() == []


# Real programs

CELERY = """
import time
from pathlib import Path
from celery import Celery

here = Path({folder!r})
app = Celery("app", broker="filesystem://")
app.conf.broker_transport_options = {{
    "data_folder_in": str(here), "data_folder_out": str(here), "control_folder": str(here / "control"),
}}

@app.task
def slow():
    (here / "begun").touch()
    time.sleep(4)
    (here / "done").touch()
"""


def test_celery_finishes_its_task(api: Api, stack: Stack, tmp_path: Path) -> None:
    """It ends in order when SIGTERM goes to its main process; its pool would end in the middle of a task."""
    pytest.importorskip("celery", reason="celery is installed by requirements-dev.txt")
    (tmp_path / "app.py").write_text(CELERY.format(folder=str(tmp_path)))
    (tmp_path / "control").mkdir()
    worker = f"{sys.executable} -m celery -A app worker --pool prefork --concurrency 2 --loglevel info"
    id = api.add(
        f"{worker} --without-mingle --without-gossip", directory=str(tmp_path), stop_grace_seconds=60
    )
    started(api, id)
    send = api.add(f"{sys.executable} -c 'import app; app.slow.delay()'", directory=str(tmp_path))
    api.ok(f"programs/{send}/start")
    eventually((tmp_path / "begun").exists, 60, "the task has begun")
    before = tree(stack, id)
    assert len(before) == 3
    _, took = stop(api, id)
    assert (tmp_path / "done").exists()
    assert took < 30
    assert not any(map(is_alive, before))


SERVER = """
const http = require('http');
const server = http.createServer((request, response) => {
  console.log('asked');
  setTimeout(() => response.end('served'), 2000);
});
"""
CLUSTER = (
    "const cluster = require('cluster');"
    + SERVER
    + """
if (cluster.isPrimary) {
  cluster.fork(); cluster.fork();
  process.on('SIGTERM', () => cluster.disconnect());
} else {
  server.listen(Number(process.env.LISTEN), '127.0.0.1');
}
"""
)
SINGLE = (
    SERVER
    + """
server.listen(Number(process.env.LISTEN), '127.0.0.1');
process.on('SIGTERM', () => { server.close(); server.closeIdleConnections(); });
"""
)
NODE_PROGRAMS = {
    "cluster": (CLUSTER, "node server.js"),
    "npm": (SINGLE, "npm start"),
    "npm behind a shell": (SINGLE, "sh -c 'npm start; true'"),
    "shell": (SINGLE, "sh -c 'node server.js; true'"),
    "shell that goes on": (SINGLE, 'sh -c "trap : TERM; node server.js; true"'),
    "shell that heeds nothing": (SINGLE, "sh -c \"trap '' TERM; node server.js; true\""),
}


@pytest.mark.parametrize(("code", "command"), NODE_PROGRAMS.values(), ids=NODE_PROGRAMS)
def test_node_answers_its_request(api: Api, stack: Stack, tmp_path: Path, code: str, command: str) -> None:
    for needed in ("node", *(["npm"] if "npm" in command else [])):
        if shutil.which(needed) is None:
            pytest.skip(f"{needed} is not installed")
    port = free_port()
    (tmp_path / "server.js").write_text(code)
    package = {"name": "server", "version": "1.0.0", "scripts": {"start": "node server.js"}}
    (tmp_path / "package.json").write_text(json.dumps(package))
    environment = {"LISTEN": str(port), "HOME": str(tmp_path), "npm_config_update_notifier": "false"}
    id = api.add(command, directory=str(tmp_path), environment=environment, stop_grace_seconds=12)
    started(api, id)
    eventually(lambda: answers(port), 60, "node listens")
    with ThreadPoolExecutor(1) as pool:
        # A server that ends waits for connections that are kept open: that is Node's own affair.
        closing = {"Connection": "close"}
        answer = pool.submit(requests.get, f"http://127.0.0.1:{port}", headers=closing, timeout=30)
        eventually(lambda: api.logs(id).count("asked") == 1)
        _, took = stop(api, id)
        assert answer.result().text == "served"
    assert took < 12
    assert tree(stack, id) == []


def answers(port: int) -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.connect(("127.0.0.1", port))
        return True
    return False
