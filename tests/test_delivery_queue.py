"""The queue that delivers webhooks: killed, stopped, flooded; nothing is lost and nothing is held up."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import psutil
import pytest

from tests import database, webhook_programs
from tests.stack import PROJECT, Stack, eventually, temporary_stack
from tests.temporary_programs import own_processes
from tests.webhook_programs import settled, start
from tests.webhook_receivers import Receiver, Trust

BURST = 300
# A burst of state changes, recorded as the event listener does it: in batches, each in a transaction.
MAKE_BURST = """
from datetime import UTC, datetime
from django.db import transaction
from daemon_programs.webhooks import deliveries
from daemon_programs.models import Event
for batch in range({batches}):
    with transaction.atomic():
        events = Event.objects.bulk_create(
            Event(at=datetime.now(UTC), group="program-{id}", name="burst", from_state="stopped",
                  state="starting", pid=batch * {size} + number, by="api")
            for number in range({size})
        )
        deliveries.enqueue(events)
"""


@pytest.fixture
def stack(trust: Trust) -> Iterator[Stack]:
    with temporary_stack(**trust.environment) as own:
        yield own.start()


def worker_at(stack: Stack, port: int) -> psutil.Process | None:
    """The process of the queue that is connected to a receiver."""
    for process in stack.processes():
        with suppress(psutil.Error):
            if any(each.raddr and each.raddr.port == port for each in process.net_connections()):
                return process
    return None


def queue_of(stack: Stack) -> psutil.Process:
    """The main process of the queue: what supervisord has started."""
    parts = own_processes(stack, "scheduler")
    [main] = [each for each in parts if each.ppid() == stack.supervisord_pid]
    return main


def hasten_the_net(stack: Stack) -> None:
    """Let the schedule be due at once, so that the test need not wait for its minute to end."""
    due = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=1)
    with database.opened(stack.folder) as rows:
        rows.execute(
            "UPDATE django_q_schedule SET next_run = ? WHERE name = 'deliver webhooks'",
            (f"{due}{database.UTC}",),
        )


def test_worker_that_is_killed_in_an_attempt_is_made_up_for_with_the_same_id(
    stack: Stack, receiver: Receiver
) -> None:
    api = stack.api
    id = webhook_programs.add(api, receiver.url(), timeout=60)
    receiver.answers = [receiver.stay_silent]
    start(api, id)
    [first] = receiver.until(1)
    worker = eventually(lambda: worker_at(stack, receiver.port), what="the worker")
    worker.send_signal(signal.SIGKILL)
    worker.wait(10)
    hasten_the_net(stack)
    _, second = receiver.until(2, timeout=100)
    assert second.id == first.id
    assert second.body == first.body
    [delivery] = settled(api, id)
    assert delivery["state"] == "delivered"
    assert len(receiver.received) == 2


def test_queue_that_is_stopped_in_an_attempt_ends_soon_and_goes_on_afterwards(
    stack: Stack, receiver: Receiver
) -> None:
    api = stack.api
    id = webhook_programs.add(api, receiver.url(), timeout=60)
    receiver.answers = [receiver.stay_silent]
    start(api, id)
    [first] = receiver.until(1)
    queue = queue_of(stack)
    began = time.monotonic()
    queue.terminate()
    queue.wait(40)
    assert time.monotonic() - began < 30  # not the 60 seconds that the attempt may take
    _, second = receiver.until(2, timeout=60)
    assert second.id == first.id
    [delivery] = settled(api, id)
    # What was cut off is no failure of the receiver.
    assert [each["code"] for each in delivery["attempts"]] == [204]


def test_burst_arrives_complete_and_in_order_by_a_few_tasks(stack: Stack, receiver: Receiver) -> None:
    api = stack.api
    id = webhook_programs.add(api, receiver.url())
    webhook_programs.run(stack, MAKE_BURST.format(id=id, size=50, batches=BURST // 50))
    receiver.until(BURST, timeout=120)
    assert [each.payload["pid"] for each in receiver.received] == list(range(BURST))
    settled(api, id, BURST)
    tasks = webhook_programs.rows(
        stack, "SELECT count(*) FROM django_q_task WHERE func LIKE '%deliver_webhooks'"
    )
    assert tasks[0][0] < 10


def test_other_tasks_go_on_while_a_dispatch_waits_for_a_slow_receiver(
    stack: Stack, receiver: Receiver
) -> None:
    api = stack.api
    id = webhook_programs.add(api, receiver.url(), timeout=60)
    receiver.answers = [receiver.stay_silent]
    start(api, id)
    receiver.until(1)
    webhook_programs.run(
        stack, "from django_q.tasks import async_task; async_task('builtins.len', 'four', group='beside')"
    )
    query = "SELECT success FROM django_q_task WHERE \"group\" = 'beside'"
    eventually(
        lambda: webhook_programs.rows(stack, query) in ([(1,)], [(True,)]), 30, "the other task is done"
    )
    assert webhook_programs.deliveries(api, id)[0]["state"] == "pending"


def test_what_was_left_by_a_killed_stack_is_delivered_by_the_next(stack: Stack, receiver: Receiver) -> None:
    api = stack.api
    id = webhook_programs.add(api, receiver.url(), timeout=60, events=["STARTING"])
    receiver.answers = [receiver.stay_silent]
    start(api, id)
    [first] = receiver.until(1)
    assert stack.process is not None
    stack.process.kill()
    stack.process.wait()
    stack.start()
    _, second = receiver.until(2, timeout=60)
    assert second.id == first.id
    assert settled(stack.api, id)[0]["state"] == "delivered"


DISPATCH = "from daemon_programs.webhooks import dispatch as d; d._DISPATCH_SECONDS = {seconds}; d.dispatch()"


def without_queue(stack: Stack) -> None:
    """Prevent other deliveries."""
    supervisorctl(stack, "stop")
    assert own_processes(stack, "scheduler") == []


def supervisorctl(stack: Stack, verb: str) -> None:
    configuration = str(stack.folder / "supervisord.conf")
    done = subprocess.run(
        [sys.executable, "-m", "supervisor.supervisorctl", "-c", configuration, verb, "scheduler"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stdout


def test_dispatch_hands_over_in_time_and_a_slow_receiver_costs_the_others_nothing(
    stack: Stack, receiver: Receiver, trust: Trust
) -> None:
    api = stack.api
    without_queue(stack)
    with trust.receiver() as slow:
        slow.answers = [slow.hesitate, slow.stay_silent]
        id = webhook_programs.add(api, receiver.url(), slow.url(), timeout=60)
        start(api, id)
        start(api, id)
        eventually(lambda: len(webhook_programs.deliveries(api, id)) == 4)
        began = time.monotonic()
        webhook_programs.run(stack, DISPATCH.format(seconds=12))
        assert time.monotonic() - began < 45  # not the 60 seconds of the time-out
        assert len(receiver.received) == 2
        # Its first was slow; so its second, whose time-out doesn't fit, is left to the next dispatch.
        assert len(slow.received) == 1
        assert [each["state"] for each in webhook_programs.deliveries(api, id, state="pending")] == [
            "pending"
        ]
        slow.answers = []
        supervisorctl(stack, "start")  # what the dispatch has asked for is in the queue
        slow.until(2, timeout=40)
        assert {each["state"] for each in settled(api, id, 4)} == {"delivered"}


def test_attempt_that_does_not_end_by_itself_is_cut_at_the_hand_over_and_made_again(
    stack: Stack, receiver: Receiver
) -> None:
    api = stack.api
    without_queue(stack)
    id = webhook_programs.add(api, receiver.url(), timeout=60)
    receiver.answers = [receiver.stay_silent]
    start(api, id)
    eventually(lambda: webhook_programs.deliveries(api, id))
    began = time.monotonic()
    webhook_programs.run(stack, DISPATCH.format(seconds=6))
    assert time.monotonic() - began < 40
    [delivery] = webhook_programs.deliveries(api, id)
    assert (delivery["state"], delivery["attempts"]) == ("pending", [])
    supervisorctl(stack, "start")
    first, second = receiver.until(2, timeout=40)
    assert first.id == second.id
    [delivery] = settled(api, id)
    assert [each["code"] for each in delivery["attempts"]] == [204]
