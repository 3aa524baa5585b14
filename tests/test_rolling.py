"""``restart`` with ``rolling``: the instances of a port range, a few at a time."""

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.processes import python, shell, started
from tests.stack import Api, Stack, eventually

# It accepts connections as soon as it can, and answers each with its pid.
SERVER = """
import os, socket, sys
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", int(os.environ["PORT"])))
server.listen(64)
while True:
    client, _ = server.accept()
    client.sendall(b"%d" % os.getpid())
    client.close()
"""
PORTS = {"start": 25_300, "end": 25_309}
FEW = {"start": 25_310, "end": 25_313}
ALL = {"all": True, "wait": True, "timeout": 120}


@dataclass
class Client:
    """A client of each port that asks all the time, and notes when it gets no answer."""

    ports: range
    answers: dict[int, set[bytes]] = field(default_factory=dict)
    misses: list[tuple[float, int]] = field(default_factory=list)
    is_over: bool = False

    @contextlib.contextmanager
    def asking(self) -> Iterator["Client"]:
        threads = [threading.Thread(target=self._ask, args=[port]) for port in self.ports]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self.is_over = True
            for thread in threads:
                thread.join()

    def _ask(self, port: int) -> None:
        answers = self.answers[port] = set()
        while not self.is_over:
            try:
                with socket.create_connection(("127.0.0.1", port), 5) as connection:
                    answer = connection.recv(64)
            except OSError:
                answer = b""
            if answer:
                answers.add(answer)
            else:
                self.misses.append((time.monotonic(), port))
            time.sleep(0.01)

    def most_down(self) -> int:
        """How many ports gave no answer at one moment: from the first miss of each to its last."""
        spans = [
            [at for at, missed in self.misses if missed == port] for port in {port for _, port in self.misses}
        ]
        edges = sorted([edge for at in spans for edge in ((min(at), 1), (max(at), -1))])
        return max(itertools.accumulate(change for _, change in edges), default=0)


def run_all(api: Api, command: str, **fields: Any) -> int:
    id = api.add(command, port_range=fields.pop("port_range", FEW), **fields)
    api.ok(f"programs/{id}/start", ALL)
    return id


def pids(api: Api, id: int) -> dict[int, int]:
    return {each["port"]: each.get("pid") for each in api.status(id)["instances"]}


def name_of(api: Api, id: int) -> str:
    return str(api.get(f"programs/{id}").json()["program"]["name"])


def test_at_least_nine_of_ten_answer_at_each_moment(api: Api) -> None:
    id = run_all(api, python(SERVER), port_range=PORTS)
    before = pids(api, id)
    client = Client(range(25_300, 25_310))
    eventually(lambda: all(accepts(port) for port in client.ports), 30)
    with client.asking():
        time.sleep(0.2)
        assert api.ok(f"programs/{id}/restart", {**ALL, "rolling": 1}) == {"success": True}
    after = pids(api, id)
    assert after.keys() == before.keys()
    assert set(after.values()).isdisjoint(before.values())
    for port in client.ports:
        assert client.answers[port] == {str(before[port]).encode(), str(after[port]).encode()}
    assert client.most_down() <= 1


def test_each_is_ready_before_the_next(api: Api) -> None:
    slow = f"import time; time.sleep(2.5)\n{SERVER}"
    id = run_all(api, python(slow), port_range={"start": 25_310, "end": 25_311}, ready={"port": "{port}"})
    client = Client(range(25_310, 25_312))
    with client.asking():
        time.sleep(0.2)
        api.ok(f"programs/{id}/restart", {**ALL, "rolling": 1})
    assert client.most_down() == 1
    assert all(each["ready"] for each in api.status(id)["instances"])


def test_roll_out_stops_where_one_does_not_become_ready(api: Api, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    flag.touch()
    id = run_all(api, "sleep 1000 {port}", ready={"command": f"test -e {flag}", "after_seconds": 1})
    flag.unlink()
    said = api.refused(f"programs/{id}/restart", {**ALL, "rolling": 1, "timeout": 4}, 504)
    assert said == (
        f"Instance {name_of(api, id)}_25310 is not ready after 4 seconds; "
        "the roll-out has stopped after 0 of 4 instances"
    )


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_so_many_are_down_at_once_as_are_allowed(api: Api) -> None:
    id = run_all(api, "sleep 1000 {port}")
    begun = time.monotonic()
    api.ok(f"programs/{id}/restart", {**ALL, "rolling": 4})
    together = time.monotonic() - begun
    begun = time.monotonic()
    api.ok(f"programs/{id}/restart", {**ALL, "rolling": 2})
    in_pairs = time.monotonic() - begun
    assert together >= 1
    assert in_pairs >= 2
    # They were started, and restarted twice.
    found = eventually(lambda: len(each := changes(api, id)) == 3 * 4 + 2 * 4 and each)
    assert most_down(found[4:12]) == 4
    assert most_down(found[12:]) == 2


def changes(api: Api, id: int) -> list[str]:
    """The states of instances that went down or came up, in order."""
    events = api.get(f"programs/{id}/events").json()["events"]
    return [each["state"] for each in reversed(events) if each["state"] in ("stopping", "running")]


def most_down(states: list[str]) -> int:
    return max(itertools.accumulate(1 if state == "stopping" else -1 for state in states))


def test_only_instances_that_run_take_part(api: Api) -> None:
    id = api.add("sleep 1000 {port}", port_range=FEW)
    started(api, id, 25_311)
    before = pids(api, id)
    api.ok(f"programs/{id}/restart", {**ALL, "rolling": 1})
    after = pids(api, id)
    assert after.keys() == {25_311}
    assert after != before
    api.ok(f"programs/{id}/stop", {"all": True})
    api.ok(f"programs/{id}/restart", {**ALL, "rolling": 1})
    assert pids(api, id) == {}


def failing(folder: Path, then: str) -> str:
    """A program whose instance of one port fails from its next start on."""
    script = f'if test "$PORT" = 25312 && test -e "$1"; then {then}; fi; exec sleep 1000'
    return shell(script, str(folder / "broken"))


FAILURES = {
    "at once": ("exit 3", "false", "did not start: it ended with exit code 3"),
    "again and again": ("exit 3", "true", "did not start: it ended with exit code 3"),
    "finished": ("exit 0", "unexpected", "did not stay up: it ended with exit code 0"),
}


@pytest.mark.parametrize(("then", "autorestart", "why"), FAILURES.values(), ids=FAILURES)
def test_roll_out_stops_where_an_instance_fails(
    api: Api, tmp_path: Path, then: str, autorestart: str, why: str
) -> None:
    id = run_all(api, failing(tmp_path, then), autorestart=autorestart)
    before = pids(api, id)
    (tmp_path / "broken").touch()
    said = api.refused(f"programs/{id}/restart", {**ALL, "rolling": 1})
    assert said == f"Instance {name_of(api, id)}_25312 {why}; the roll-out has stopped after 2 of 4 instances"
    after = pids(api, id)
    assert after[25_313] == before[25_313]
    assert after[25_310] != before[25_310]


def test_roll_out_stops_when_one_fails_that_was_done(api: Api, tmp_path: Path) -> None:
    script = 'if test "$PORT" = 25310 && test -e "$1"; then sleep 1.5; exit 4; fi; exec sleep 1000'
    id = run_all(api, shell(script, str(tmp_path / "broken")), delay_seconds=1, autorestart="false")
    (tmp_path / "broken").touch()
    said = api.refused(f"programs/{id}/restart", {**ALL, "rolling": 1})
    label = f"Instance {name_of(api, id)}_25310"
    assert said.startswith(f"{label} failed after its restart: it ended with exit code 4; the roll-out has ")


def test_roll_out_takes_no_longer_than_its_time(api: Api) -> None:
    id = run_all(api, "sleep 1000 {port}")
    before = pids(api, id)
    begun = time.monotonic()
    said = api.refused(f"programs/{id}/restart", {**ALL, "rolling": 1, "timeout": 2}, 504)
    assert 2 <= time.monotonic() - begun < 4
    done = int(said.rpartition(" after ")[2].split()[0])
    assert said == (
        f"Instance {name_of(api, id)}_{25_310 + done} is not running after 2 seconds; "
        f"the roll-out has stopped after {done} of 4 instances"
    )
    eventually(lambda: None not in pids(api, id).values())
    time.sleep(1.5)
    assert pids(api, id)[25_313] == before[25_313]  # nothing goes on unseen


def test_others_are_served_meanwhile_and_may_stop_instances(api: Api, stack: Stack) -> None:
    id = run_all(api, "sleep 1000 {port}")
    other = api.add()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(stack.client(stack.token).ok, f"programs/{id}/restart", {**ALL, "rolling": 1})
        api.ok(f"programs/{id}/stop", {"port": 25_313})
        api.ok(f"programs/{other}/start", {"wait": True})
        answer.result()
    assert pids(api, id).keys() == {25_310, 25_311, 25_312}


def test_roll_out_ends_with_the_program(api: Api, stack: Stack) -> None:
    id = run_all(api, "sleep 1000 {port}")
    with ThreadPoolExecutor(1) as pool:
        refuse = stack.client(stack.token).refused
        answer = pool.submit(refuse, f"programs/{id}/restart", {**ALL, "rolling": 1})
        time.sleep(0.5)
        api.ok(f"programs/{id}/disable")
        assert "was" in answer.result()


NEEDS = "Field 'rolling' needs all: true and wait: true"
BODIES: list[tuple[dict[str, Any], str]] = [
    ({"rolling": 1}, NEEDS),
    ({"rolling": 1, "all": True}, NEEDS),
    ({"rolling": 1, "wait": True}, NEEDS),
    ({"rolling": 1, "wait": True, "all": True, "port": 25_310}, NEEDS),
    *[({**ALL, "rolling": value}, "Field 'rolling' must be between 1 and 1000") for value in (0, -1, 1001)],
    *[({**ALL, "rolling": value}, "Field 'rolling' must be an integer") for value in ("1", True, None, 1.5)],
]


@pytest.mark.parametrize(("body", "sentence"), BODIES, ids=[str(body) for body, _ in BODIES])
def test_bodies_are_strict(api: Api, body: dict[str, Any], sentence: str) -> None:
    id = api.add("sleep 1000 {port}", port_range=FEW)
    assert api.refused(f"programs/{id}/restart", body) == sentence


def test_roll_out_needs_a_port_range_and_an_enabled_program(api: Api) -> None:
    plain, disabled = api.add(), api.add(port_range=FEW, enabled=False)
    body = {**ALL, "rolling": 1}
    assert api.refused(f"programs/{plain}/restart", body) == f"Program with ID {plain} has no port range"
    assert api.refused(f"programs/{disabled}/restart", body) == f"Program with ID {disabled} is disabled"
