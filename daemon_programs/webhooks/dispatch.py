"""Deliver the outbox: a task of the queue, which runs once at a time.

One thread reads and writes the database. The others make one attempt each, at most one per lane: a
receiver gets its events in order, and one that doesn't respond delays no other. An attempt is recorded
when it has ended. If the process is killed before that, the next dispatch repeats it with the same id.
"""

import logging
import time
import traceback
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils import timezone

from daemon_programs.models import Delivery, Program
from daemon_programs.transactions import exclusive_transaction
from daemon_programs.webhooks import deliveries, signing
from daemon_programs.webhooks.dispatch_lock import exclusive_dispatch, is_ending, request_dispatch

if TYPE_CHECKING:  # loaded with the first delivery: most queues never have one
    from daemon_programs.webhooks.request import Connection, Outcome

logger = logging.getLogger(__name__)

_MAX_CONCURRENT = 100
# A dispatch ends well before the queue would kill the task. The next one continues.
_DISPATCH_SECONDS = settings.Q_CLUSTER["timeout"] - 20
# When a dispatch ends, attempts may run for so long. Then they are aborted; the next dispatch repeats them.
_GRACE_SECONDS = 3.0
# After an attempt that took longer, the lane's next one is not started if its time-out exceeds the dispatch.
_QUICK_MILLISECONDS = 1000
_POLL_SECONDS = 0.5
# A dispatch waits for what becomes due in this time, which is longer than the longest back-off.
_LOOKAHEAD = timedelta(seconds=25)

Lane = tuple[int, str]


@dataclass
class Attempt:
    """One request for a delivery, by the program's webhook config at this moment."""

    delivery: Delivery
    headers: Mapping[str, str]
    body: bytes
    retry: int
    connection: "Connection"
    at: datetime
    outcome: "Outcome | None" = None

    def run(self) -> None:
        """Make the request and keep its outcome."""
        from daemon_programs.webhooks.request import Outcome, post

        try:
            self.outcome = post(self.delivery.url, self.headers, self.body, self.connection)
        except Exception as problem:
            # Without the text of the exception, which may quote what was sent.
            where = "".join(traceback.format_tb(problem.__traceback__))
            logger.error("A webhook attempt failed: %s\n%s", type(problem).__name__, where)  # noqa: TRY400
            self.outcome = Outcome(0, error="An internal error occurred; the log of the queue says more")


def dispatch() -> None:
    """Deliver what is due or becomes due soon, unless another dispatch is running."""
    ends_at = time.monotonic() + _DISPATCH_SECONDS
    while not is_ending():
        with exclusive_dispatch() as is_held:
            if not is_held:
                return
            Dispatch(ends_at).run()
        # A process that found the lock held relies on this check, made after the lock is released.
        if not Delivery.objects.due(timezone.now() + _LOOKAHEAD).exists():
            return
        if time.monotonic() > ends_at - _GRACE_SECONDS:
            request_dispatch()
            return


class Dispatch:
    """The running attempts, and the next delivery of each lane."""

    def __init__(self, ends_at: float) -> None:
        self._ends_at = ends_at
        self._heads: dict[Lane, Delivery] = {}
        self._running: dict[Lane, Attempt] = {}
        self._slow: set[Lane] = set()
        self._finished: SimpleQueue[Attempt] = SimpleQueue()
        self._next_query = 0.0

    def run(self) -> None:
        """Make attempts until nothing is due soon, or the dispatch has to end."""
        with exclusive_transaction():
            deliveries.expire()
        with ThreadPoolExecutor(_MAX_CONCURRENT, "webhook") as threads:
            try:
                while not self._must_end() and (self._start_due(threads) or self._running):
                    self._record_finished()
                self._await_running()
            finally:
                for attempt in self._running.values():
                    attempt.connection.abort()

    def _must_end(self) -> bool:
        return is_ending() or time.monotonic() > self._ends_at - _GRACE_SECONDS

    def _start_due(self, threads: ThreadPoolExecutor) -> bool:
        """Start the attempts that are due; return whether any are pending that are due soon."""
        if time.monotonic() > self._next_query:
            self._next_query = time.monotonic() + _POLL_SECONDS
            self._query_heads()
        now = timezone.now()
        for lane, delivery in sorted(self._heads.items(), key=lambda item: item[1].next_attempt_at or now):
            if len(self._running) == _MAX_CONCURRENT or (delivery.next_attempt_at or now) > now:
                break
            if lane not in self._running:
                self._start(lane, delivery, threads)
        return bool(self._heads)

    def _query_heads(self) -> None:
        """Query the next delivery of every lane, if it is due soon."""
        due = Delivery.objects.due(timezone.now() + _LOOKAHEAD).select_related("event")
        self._heads = {delivery.lane: delivery for delivery in due}

    def _query_head(self, lane: Lane) -> None:
        """Query the next delivery of one lane, if it is due soon."""
        program_id, url = lane
        pending = Delivery.objects.pending().filter(program_id=program_id, url=url)
        head = pending.select_related("event").order_by("id").first()
        self._heads.pop(lane, None)
        if head and head.next_attempt_at and head.next_attempt_at < timezone.now() + _LOOKAHEAD:
            self._heads[lane] = head

    def _start(self, lane: Lane, delivery: Delivery, threads: ThreadPoolExecutor) -> None:
        attempt = prepare(delivery)
        if attempt is None:
            del self._heads[lane]
        elif lane not in self._slow or time.monotonic() + attempt.connection.seconds < self._ends_at:
            self._running[lane] = attempt
            threads.submit(attempt.run).add_done_callback(lambda _: self._finished.put(attempt))

    def _record_finished(self) -> None:
        """Wait briefly for attempts to end, and record those that have in one transaction."""
        try:
            ended = [self._finished.get(timeout=_POLL_SECONDS)]
        except Empty:
            return
        while not self._finished.empty():
            ended.append(self._finished.get())
        with exclusive_transaction():
            for attempt in ended:
                self._record(attempt)

    def _record(self, attempt: Attempt) -> None:
        lane, outcome = attempt.delivery.lane, attempt.outcome
        del self._running[lane]
        if outcome is None:
            return  # the attempt did not run
        (self._slow.add if outcome.milliseconds > _QUICK_MILLISECONDS else self._slow.discard)(lane)
        deliveries.record(attempt.delivery, attempt.at, outcome, attempt.retry)
        self._query_head(lane)

    def _await_running(self) -> None:
        """Give the running attempts a moment to end, and record those that do."""
        deadline = time.monotonic() + _GRACE_SECONDS
        while self._running and time.monotonic() < deadline:
            self._record_finished()


def prepare(delivery: Delivery) -> Attempt | None:
    """Return an attempt for a delivery; None if the program no longer wants it, and its lane is cancelled."""
    from daemon_programs.webhooks.request import Connection

    with exclusive_transaction():
        program = Program.objects.filter(pk=delivery.program_id).first()
        config = deliveries.active_config(program, delivery.url)
        if program is None or config is None:
            deliveries.cancel_lane(delivery.lane)
            return None
        now = timezone.now()
        body = deliveries.text_of(delivery.event)
        signature = signing.sign(program, delivery.webhook_id, now, body)
    return Attempt(
        delivery=delivery,
        headers=_headers(config["headers"], delivery.webhook_id, now, signature),
        body=body.encode(),
        retry=config["retry"],
        connection=Connection(config["timeout"]),
        at=now,
    )


def _headers(custom: dict[str, str], webhook_id: str, moment: datetime, signature: str) -> dict[str, Any]:
    """Return the headers of a request; custom ones of the program replace the defaults."""
    defaults = {"Content-Type": "application/json", "User-Agent": f"hoody-daemon/{settings.VERSION}"}
    replaced = {name.lower() for name in custom}
    return {
        **{name: value for name, value in defaults.items() if name.lower() not in replaced},
        **custom,
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": signature,
    }
