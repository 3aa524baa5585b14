"""The dispatch: delivers what is in the outbox. A task of the queue, and one of it at a time.

One thread does the bookkeeping. Others each carry out one attempt, at most one in a lane: so whoever
answers gets events in order, and whoever doesn't holds up nobody else. An attempt is noted when it has
ended. If the process is killed before that, the next dispatch makes it again, with the same id.
"""

import logging
import time
import traceback
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from daemon_programs.models import Delivery, Program
from daemon_programs.webhooks import deliveries, signing
from daemon_programs.webhooks.dispatch_lock import ask_for_dispatch, is_ending, only_one
from daemon_programs.webhooks.request import Line, Outcome, post

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 100
# Well before the queue would end the task. The next one goes on.
_SECONDS = settings.Q_CLUSTER["timeout"] - 20
# At the end attempts get so long to end by themselves. Then they are cut, and made again by the next.
_GRACE_SECONDS = 3.0
# What takes longer than that isn't begun any more when its time-out wouldn't fit.
_QUICK_MILLISECONDS = 1000
_LOOK_EVERY_SECONDS = 0.5
# What becomes due in this time is waited for: the longest back-off is shorter.
_STAY = timedelta(seconds=25)

Lane = tuple[int, str]


@dataclass
class Attempt:
    """One try to deliver something, as the program wants it at this moment."""

    delivery: Delivery
    headers: Mapping[str, str]
    body: bytes
    retry: int
    line: Line
    at: datetime
    outcome: Outcome | None = None

    def carry_out(self) -> None:
        try:
            self.outcome = post(self.delivery.url, self.headers, self.body, self.line)
        except Exception as problem:
            # Not its text: that may quote what was sent.
            where = "".join(traceback.format_tb(problem.__traceback__))
            logger.error("A webhook attempt failed: %s\n%s", type(problem).__name__, where)  # noqa: TRY400
            self.outcome = Outcome(0, error="An internal error occurred; the log of the queue says more")


def dispatch() -> None:
    """Deliver what is due, and what becomes due soon; nothing if another dispatch is at it."""
    ends_at = time.monotonic() + _SECONDS
    while not is_ending():
        with only_one() as is_mine:
            if not is_mine:
                return
            Dispatch(ends_at).run()
        # Once more, now that the lock is free: who has found it held relies on that.
        if not Delivery.objects.due(timezone.now() + _STAY).exists():
            return
        if time.monotonic() > ends_at - _GRACE_SECONDS:
            ask_for_dispatch()
            return


class Dispatch:
    """What is under way, and what comes next in each lane."""

    def __init__(self, ends_at: float) -> None:
        self._ends_at = ends_at
        self._heads: dict[Lane, Delivery] = {}
        self._under_way: dict[Lane, Attempt] = {}
        self._slow: set[Lane] = set()
        self._finished: SimpleQueue[Attempt] = SimpleQueue()
        self._next_look = 0.0

    def run(self) -> None:
        with transaction.atomic():
            deliveries.expire()
        with ThreadPoolExecutor(MOST_AT_ONCE, "webhook") as threads:
            try:
                while not self._has_to_end() and (self._begin_due(threads) or self._under_way):
                    self._record_finished()
                self._finish()
            finally:
                for attempt in self._under_way.values():
                    attempt.line.cut()

    def _has_to_end(self) -> bool:
        return is_ending() or time.monotonic() > self._ends_at - _GRACE_SECONDS

    def _begin_due(self, threads: ThreadPoolExecutor) -> bool:
        """Begin whatever can be begun; False if nothing will be due soon."""
        if time.monotonic() > self._next_look:
            self._next_look = time.monotonic() + _LOOK_EVERY_SECONDS
            self._look()
        now = timezone.now()
        for lane, delivery in sorted(self._heads.items(), key=lambda item: item[1].next_attempt_at or now):
            if len(self._under_way) == MOST_AT_ONCE or (delivery.next_attempt_at or now) > now:
                break
            if lane not in self._under_way:
                self._begin(lane, delivery, threads)
        return bool(self._heads)

    def _look(self) -> None:
        """See what is next in every lane, of what is due soon."""
        due = Delivery.objects.due(timezone.now() + _STAY).select_related("event")
        self._heads = {delivery.lane: delivery for delivery in due}

    def _look_into(self, lane: Lane) -> None:
        """See what is next in one lane."""
        program_id, url = lane
        pending = Delivery.objects.pending().filter(program_id=program_id, url=url)
        head = pending.select_related("event").order_by("id").first()
        self._heads.pop(lane, None)
        if head and head.next_attempt_at and head.next_attempt_at < timezone.now() + _STAY:
            self._heads[lane] = head

    def _begin(self, lane: Lane, delivery: Delivery, threads: ThreadPoolExecutor) -> None:
        attempt = prepare(delivery)
        if attempt is None:
            del self._heads[lane]
        elif lane not in self._slow or time.monotonic() + attempt.line.seconds < self._ends_at:
            self._under_way[lane] = attempt
            threads.submit(attempt.carry_out).add_done_callback(lambda _: self._finished.put(attempt))

    def _record_finished(self) -> None:
        """Wait for attempts to end, and note how they went: all that have by now in one transaction."""
        try:
            ended = [self._finished.get(timeout=_LOOK_EVERY_SECONDS)]
        except Empty:
            return
        while not self._finished.empty():
            ended.append(self._finished.get())
        with transaction.atomic():
            for attempt in ended:
                self._record(attempt)

    def _record(self, attempt: Attempt) -> None:
        lane, outcome = attempt.delivery.lane, attempt.outcome
        del self._under_way[lane]
        if outcome is None:
            return  # it was not even begun
        (self._slow.add if outcome.milliseconds > _QUICK_MILLISECONDS else self._slow.discard)(lane)
        deliveries.record(attempt.delivery, attempt.at, outcome, attempt.retry)
        self._look_into(lane)

    def _finish(self) -> None:
        """Let end what ends by itself."""
        deadline = time.monotonic() + _GRACE_SECONDS
        while self._under_way and time.monotonic() < deadline:
            self._record_finished()


def prepare(delivery: Delivery) -> Attempt | None:
    """Make a delivery ready for an attempt; None if it is no longer wanted, and withdrawn."""
    with transaction.atomic():
        program = Program.objects.filter(pk=delivery.program_id).first()
        block = deliveries.wanted_block(program, delivery.url)
        if program is None or block is None:
            deliveries.cancel_lane(delivery.lane)
            return None
        now = timezone.now()
        body = deliveries.text_of(delivery.event)
        signature = signing.sign(program, delivery.webhook_id, now, body)
    return Attempt(
        delivery=delivery,
        headers=_headers(block["headers"], delivery.webhook_id, now, signature),
        body=body.encode(),
        retry=block["retry"],
        line=Line(block["timeout"]),
        at=now,
    )


def _headers(programs: dict[str, str], webhook_id: str, moment: datetime, signature: str) -> dict[str, Any]:
    """Our headers and the program's, which may bring a User-Agent of its own."""
    own = {"Content-Type": "application/json", "User-Agent": f"hoody-daemon/{settings.VERSION}"}
    named = {name.lower() for name in programs}
    return {
        **{name: value for name, value in own.items() if name.lower() not in named},
        **programs,
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": signature,
    }
