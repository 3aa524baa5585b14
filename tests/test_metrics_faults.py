"""The metrics of stacks that are in trouble, open, or large."""

import time
from concurrent.futures import ThreadPoolExecutor

import requests

from tests.metrics_client import Scrape, get, scrape
from tests.processes import LONG_RUNNING, started
from tests.stack import OWN_USER, Stack, eventually, temporary_stack
from tests.temporary_programs import Quick

MANY = 100


def test_unreachable_supervisord_is_reported_with_all_that_is_known(own_stack: Stack) -> None:
    stack = own_stack.start()
    ids = [stack.api.add(LONG_RUNNING), stack.api.add(enabled=False)]
    started(stack.api, ids[0])
    Quick(stack).run(LONG_RUNNING)
    before = scrape(stack)
    assert before.value("daemon_supervisord_up") == 1
    with stack.without_supervisord():
        found = scrape(stack)
    assert found.value("daemon_supervisord_up") == 0
    states = found.by("state", "daemon_programs")
    assert states["unknown"] == sum(states.values()) == sum(before.by("state", "daemon_programs").values())
    assert found.by("state", "daemon_temporary_programs")["unknown"] == 1
    for name in ("daemon_program_up", "daemon_program_processes", "daemon_component_up"):
        assert name not in {sample for sample, _ in found.samples}  # unknown
    assert (found.value("daemon_events_recorded_total") or 0) > 0
    assert found.value("process_open_fds")


def test_killed_part_of_the_stack_is_down_until_it_is_back(own_stack: Stack) -> None:
    stack = own_stack.start()

    def is_up() -> float:
        return scrape(stack).by("component", "daemon_component_up")["listener"]

    eventually(lambda: is_up() == 1)
    (listener,) = [each for each in stack.processes() if "listen_events" in each.cmdline()]
    listener.kill()
    eventually(lambda: is_up() == 0)
    eventually(lambda: is_up() == 1, 30)


def test_setting_opens_the_metrics_to_all_clients() -> None:
    with temporary_stack(DAEMON_METRICS_OPEN="true") as stack:
        stack.start()
        answer = requests.get(f"{stack.url}/metrics", timeout=60)
        assert answer.status_code == 200, answer.text
        assert Scrape(answer.text).value("daemon_supervisord_up") == 1
        assert stack.client(None).get("programs").status_code == 401


def test_three_hundred_programs_and_many_scrapers(own_stack: Stack) -> None:
    stack = own_stack.start()
    for number in range(MANY):
        stack.api.ok(
            "programs/add",
            {"name": f"many {number}", "command": LONG_RUNNING, "user": OWN_USER, "boot": True},
        )
    eventually(lambda: scrape(stack).by("state", "daemon_programs")["running"] == MANY, 60)
    started_at = time.monotonic()
    found = scrape(stack)
    assert time.monotonic() - started_at < 5
    assert len(found.by("id", "daemon_program_processes")) == MANY
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: get(stack), range(16)))
    for answer in answers:
        assert answer.status_code == 200
        assert len(Scrape(answer.text).by("id", "daemon_program_processes")) == MANY
