"""The outbox of webhooks, which is also their log: what is to be delivered, and how that went.

Rows are made in the transaction that records the events; `dispatch` delivers them.
"""

import json
import logging
import random
import socket
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from daemon_programs.exceptions import DeliveryNotFound, Refused
from daemon_programs.models import Delivery, Event, Program, WebhookCount
from daemon_programs.text import to_number
from daemon_programs.timestamps import milliseconds
from daemon_programs.validators.webhook_config import normal, targets
from daemon_programs.webhooks.dispatch_lock import ask_for_dispatch
from daemon_programs.webhooks.request import Outcome

logger = logging.getLogger(__name__)

OUTCOMES = (DELIVERED, FAILED, RETRIED, CANCELLED) = ("delivered", "failed", "retried", "cancelled")
LONGEST_LAG = timedelta(hours=1)

_MOST_ATTEMPTS_KEPT = 50
_MOST_RETRY_AFTER_SECONDS = 300.0
_NO_LONGER_WANTED = "The program's webhooks no longer name this URL"
_LAGS = "The receiver lags too far behind: it could not be delivered within an hour"


# Into the outbox


def enqueue(events: Sequence[Event]) -> None:
    """Note what is to be delivered of events that are being recorded; part of that transaction."""
    ids = {event.program_id for event in events if event.program_id is not None}
    told = Program.objects.filter(pk__in=ids, webhooks__isnull=False)
    blocks = dict(told.values_list("pk", "webhooks"))
    now = timezone.now()
    made = [
        Delivery(
            event=event,
            program_id=id,
            url=url,
            webhook_id=f"msg_{uuid.uuid4().hex}",
            queued_at=now,
            next_attempt_at=now,
        )
        for event in events
        if (id := event.program_id) is not None
        for url in targets(blocks.get(id), event.state)
    ]
    if made:
        Delivery.objects.bulk_create(made)
        # Robust: if the queue can't be asked now, it looks by itself within two minutes.
        transaction.on_commit(ask_for_dispatch, robust=True)


def redeliver(delivery: Delivery) -> None:
    """Put a delivery on its way once more, as what it was: the same id for the receiver."""
    program = Program.objects.filter(pk=delivery.program_id).first()
    if wanted_block(program, delivery.url) is None:
        raise Refused(f"Delivery with ID {delivery.pk} can't be repeated: {_lower(_NO_LONGER_WANTED)}")
    now = timezone.now()
    with transaction.atomic():
        is_at_rest = Delivery.objects.filter(pk=delivery.pk).exclude(state=Delivery.PENDING)
        if not is_at_rest.update(
            state=Delivery.PENDING, error="", tries=0, queued_at=now, next_attempt_at=now
        ):
            raise Refused(f"Delivery with ID {delivery.pk} is still on its way")
        transaction.on_commit(ask_for_dispatch, robust=True)


def wanted_block(program: Program | None, url: str) -> dict[str, Any] | None:
    """The webhooks block of a program that, as it is now, is to be told of at this URL."""
    block: dict[str, Any] | None = program.webhooks if program else None
    return normal(block) if block and url in targets(block) else None


# Out of it


def expire() -> None:
    """Give up what has been waiting for too long: nobody needs it any more."""
    late = Delivery.objects.pending().filter(queued_at__lt=timezone.now() - LONGEST_LAG)
    count(FAILED, late.update(state=Delivery.FAILED, error=_LAGS, next_attempt_at=None))


def cancel_lane(lane: tuple[int, str]) -> None:
    """Withdraw all that waits in a lane that is no longer wanted."""
    program_id, url = lane
    unwanted = Delivery.objects.pending().filter(program_id=program_id, url=url)
    count(CANCELLED, unwanted.update(state=Delivery.CANCELLED, error=_NO_LONGER_WANTED, next_attempt_at=None))


def record(delivery: Delivery, at: datetime, outcome: Outcome, retry: int) -> None:
    """Note how an attempt went, and what follows from it."""
    delivery.tries += 1
    entry = {
        "at": milliseconds(at),
        "code": outcome.code,
        "milliseconds": outcome.milliseconds,
        "error": outcome.error,
    }
    entry = {key: value for key, value in entry.items() if value is not None}
    delivery.attempts = [*delivery.attempts, entry][-_MOST_ATTEMPTS_KEPT:]
    delivery.next_attempt_at = None
    if outcome.error is None:
        delivery.state = Delivery.DELIVERED
    elif outcome.is_final or delivery.tries > retry:
        delivery.state, delivery.error = Delivery.FAILED, outcome.error
        logger.warning("Delivery %s of program %s was given up", delivery.pk, delivery.program_id)
    else:
        delivery.next_attempt_at = timezone.now() + _back_off(delivery.tries, outcome.retry_after)
    count({Delivery.PENDING: RETRIED}.get(delivery.state, delivery.state), 1)
    # Not `save`, which would bring back what was purged meanwhile.
    Delivery.objects.filter(pk=delivery.pk).update(
        state=delivery.state,
        error=delivery.error,
        tries=delivery.tries,
        attempts=delivery.attempts,
        next_attempt_at=delivery.next_attempt_at,
    )


def _back_off(tries: int, retry_after: float | None) -> timedelta:
    """1, 2, 4, 8, 16 seconds, a quarter more or less, and later if the receiver asked for that."""
    seconds = 2 ** (tries - 1) * random.uniform(0.75, 1.25)  # noqa: S311
    return timedelta(seconds=max(seconds, min(retry_after or 0.0, _MOST_RETRY_AFTER_SECONDS)))


def body_of(event: Event) -> dict[str, Any]:
    """What a receiver is told (contract, section 5)."""
    body: dict[str, Any] = {
        "event": event.state.upper(),
        "program": {"id": event.program_id, "name": event.name},
        "from_state": event.from_state.upper(),
        "pid": event.pid,
        "timestamp": milliseconds(event.at),
        "hostname": socket.gethostname(),
        "metadata": {"daemon_manager_version": settings.VERSION},
    }
    if event.port is not None:
        body["instance"] = {"port": event.port, "instance_name": f"{event.name}_{event.port}"}
    if event.state == "exited" or event.exit_code is not None:
        body["exit_code"] = event.exit_code
    return body


def text_of(event: Event) -> str:
    return json.dumps(body_of(event), ensure_ascii=False, separators=(",", ":"))


# To be read


def get_delivery(program_id: int, id: str) -> Delivery:
    """Return a program's delivery of an id as it stands in a route; raise DeliveryNotFound if there is none."""
    number = to_number(id)
    found = None if number is None else Delivery.objects.filter(program_id=program_id, pk=number).first()
    if found is None:
        raise DeliveryNotFound(id)
    return found


def delivery_document(delivery: Delivery) -> dict[str, Any]:
    """A delivery as JSON. What isn't set is left out."""
    event = delivery.event
    document: dict[str, Any] = {
        "id": delivery.pk,
        "webhook_id": delivery.webhook_id,
        "event_id": event.pk,
        "event": event.state.upper(),
        "port": event.port,
        "url": delivery.url,
        "state": delivery.state,
        "error": delivery.error or None,
        "created_at": milliseconds(delivery.created_at),
        "next_attempt_at": milliseconds(delivery.next_attempt_at) if delivery.next_attempt_at else None,
        "attempts": delivery.attempts,
    }
    return {key: value for key, value in document.items() if value is not None}


def counts() -> dict[str, int]:
    """How many attempts have ended in which way; cancelled deliveries count as such."""
    totals = dict(WebhookCount.objects.values_list("outcome", "total"))
    return {outcome: totals.get(outcome, 0) for outcome in OUTCOMES}


def count(outcome: str, more: int) -> None:
    if more and not WebhookCount.objects.filter(outcome=outcome).update(total=F("total") + more):
        WebhookCount.objects.create(outcome=outcome, total=more)


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]
