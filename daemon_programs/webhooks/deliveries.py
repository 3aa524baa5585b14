"""The outbox of webhook deliveries, which is also their log.

Deliveries are added in the transaction that records their events. `dispatch` makes the requests.
"""

from __future__ import annotations

import json
import logging
import random
import socket
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from daemon_programs.exceptions import DeliveryNotFound, Refused
from daemon_programs.models import Delivery, Event, Program, WebhookCount
from daemon_programs.text import to_number
from daemon_programs.timestamps import milliseconds
from daemon_programs.transactions import exclusive_transaction
from daemon_programs.validators.webhook_config import RETRY, normalize, targets
from daemon_programs.webhooks.dispatch_lock import request_dispatch

if TYPE_CHECKING:  # processes that make no requests need no HTTP client
    from daemon_programs.webhooks.request import Outcome

logger = logging.getLogger(__name__)

OUTCOMES = (DELIVERED, FAILED, RETRIED, CANCELLED) = ("delivered", "failed", "retried", "cancelled")

_MAX_LAG = timedelta(hours=1)
_MAX_ATTEMPTS_KEPT = 50
_MAX_RETRY_AFTER_SECONDS = 300.0
# The longest pause before an attempt: the last one, or what a receiver may ask for.
LONGEST_BACK_OFF = timedelta(seconds=max(2 ** (RETRY[1] - 1) * 1.25, _MAX_RETRY_AFTER_SECONDS))
_NO_LONGER_WANTED = "The program's webhooks no longer name this URL"
_LAGS = "The receiver lags too far behind: it could not be delivered within an hour"


# Add


def enqueue(events: Sequence[Event]) -> None:
    """Add the deliveries of some events, in the transaction that records them."""
    ids = {event.program_id for event in events if event.program_id is not None}
    programs = Program.objects.filter(pk__in=ids, webhooks__isnull=False)
    configs = dict(programs.values_list("pk", "webhooks"))
    now = timezone.now()
    new = [
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
        for url in targets(configs.get(id), event.state)
    ]
    if new:
        Delivery.objects.bulk_create(new)
        # Robust, because a request that fails is no loss: the queue dispatches within two minutes anyway.
        transaction.on_commit(request_dispatch, robust=True)


def redeliver(delivery: Delivery) -> None:
    """Queue a finished delivery again, with the same ``webhook-id``.

    Raise Refused if it is still pending, or if the program's webhooks no longer name its URL.
    """
    program = Program.objects.filter(pk=delivery.program_id).first()
    if active_config(program, delivery.url) is None:
        raise Refused(f"Delivery with ID {delivery.pk} can't be repeated: {_lower(_NO_LONGER_WANTED)}")
    now = timezone.now()
    with exclusive_transaction():
        finished = Delivery.objects.filter(pk=delivery.pk).exclude(state=Delivery.PENDING)
        if not finished.update(state=Delivery.PENDING, error="", tries=0, queued_at=now, next_attempt_at=now):
            raise Refused(f"Delivery with ID {delivery.pk} is still on its way")
        transaction.on_commit(request_dispatch, robust=True)


def active_config(program: Program | None, url: str) -> dict[str, Any] | None:
    """Return a program's present webhook config with all keys; None if it doesn't deliver to the URL."""
    config: dict[str, Any] | None = program.webhooks if program else None
    return normalize(config) if config and url in targets(config) else None


# Finish


def expire() -> None:
    """Mark deliveries as failed that have been pending for over an hour: they are of no use any more."""
    late = Delivery.objects.pending().filter(queued_at__lt=timezone.now() - _MAX_LAG)
    add_to_count(FAILED, late.update(state=Delivery.FAILED, error=_LAGS, next_attempt_at=None))


def cancel_lane(lane: tuple[int, str]) -> None:
    """Cancel the pending deliveries of a lane: the program no longer delivers to its URL."""
    program_id, url = lane
    unwanted = Delivery.objects.pending().filter(program_id=program_id, url=url)
    cancelled = unwanted.update(state=Delivery.CANCELLED, error=_NO_LONGER_WANTED, next_attempt_at=None)
    add_to_count(CANCELLED, cancelled)


def record(delivery: Delivery, at: datetime, outcome: Outcome, retry: int) -> None:
    """Record the outcome of an attempt, and schedule the next one if it failed.

    ``at`` is the time of the attempt, ``retry`` how many more are made after the first.
    """
    delivery.tries += 1
    entry = {
        "at": milliseconds(at),
        "code": outcome.code,
        "milliseconds": outcome.milliseconds,
        "error": outcome.error,
    }
    entry = {key: value for key, value in entry.items() if value is not None}
    delivery.attempts = [*delivery.attempts, entry][-_MAX_ATTEMPTS_KEPT:]
    delivery.next_attempt_at = None
    if outcome.error is None:
        delivery.state = Delivery.DELIVERED
    elif outcome.is_final or delivery.tries > retry:
        delivery.state, delivery.error = Delivery.FAILED, outcome.error
        logger.warning("Delivery %s of program %s was given up", delivery.pk, delivery.program_id)
    else:
        delivery.next_attempt_at = timezone.now() + _back_off(delivery.tries, outcome.retry_after)
    add_to_count({Delivery.PENDING: RETRIED}.get(delivery.state, delivery.state), 1)
    # Not `save`, which would insert the row again if it was purged in the meantime.
    Delivery.objects.filter(pk=delivery.pk).update(
        state=delivery.state,
        error=delivery.error,
        tries=delivery.tries,
        attempts=delivery.attempts,
        next_attempt_at=delivery.next_attempt_at,
    )


def _back_off(tries: int, retry_after: float | None) -> timedelta:
    """Return the pause after a failed attempt.

    It doubles from 1 second, varies by a quarter, and is longer if the receiver asked for that.
    """
    seconds = 2 ** (tries - 1) * random.uniform(0.75, 1.25)  # noqa: S311
    return timedelta(seconds=max(seconds, min(retry_after or 0.0, _MAX_RETRY_AFTER_SECONDS)))


def body_of(event: Event) -> dict[str, Any]:
    """Return the body of a delivery (docs/contract.md, section 5)."""
    body: dict[str, Any] = {
        "event": event.state.upper(),
        "program": {"id": event.program_id, "name": event.name},
        "from_state": event.from_state.upper(),
        "pid": event.pid,
        "timestamp": milliseconds(event.at),
        "hostname": socket.gethostname(),
        "metadata": {"daemon_manager_version": settings.VERSION},
    }
    if event.key is not None:
        body["instance"] = {event.key.kind.name: event.key.value, "instance_name": event.display_name}
    if event.state == "exited" or event.exit_code is not None:
        body["exit_code"] = event.exit_code
    return body


def text_of(event: Event) -> str:
    """Return the body of a delivery as compact JSON."""
    return json.dumps(body_of(event), ensure_ascii=False, separators=(",", ":"))


# Read


def get_delivery(program_id: int, id: str) -> Delivery:
    """Return a program's delivery by the id in a URL; raise DeliveryNotFound if there is none."""
    number = to_number(id)
    found = None if number is None else Delivery.objects.filter(program_id=program_id, pk=number).first()
    if found is None:
        raise DeliveryNotFound(id)
    return found


def delivery_document(delivery: Delivery) -> dict[str, Any]:
    """Return a delivery as the API shows it, without the keys that are not set."""
    event = delivery.event
    document: dict[str, Any] = {
        "id": delivery.pk,
        "webhook_id": delivery.webhook_id,
        "event_id": event.pk,
        "event": event.state.upper(),
        "port": event.port,
        "instance": event.instance,
        "url": delivery.url,
        "state": delivery.state,
        "error": delivery.error or None,
        "created_at": milliseconds(delivery.created_at),
        "next_attempt_at": milliseconds(delivery.next_attempt_at) if delivery.next_attempt_at else None,
        "attempts": delivery.attempts,
    }
    return {key: value for key, value in document.items() if value is not None}


def counts() -> dict[str, int]:
    """Return the number of attempts by outcome, and of cancelled deliveries."""
    totals = dict(WebhookCount.objects.values_list("outcome", "total"))
    return {outcome: totals.get(outcome, 0) for outcome in OUTCOMES}


def add_to_count(outcome: str, number: int) -> None:
    """Add to the number of attempts with an outcome."""
    if number and not WebhookCount.objects.filter(outcome=outcome).update(total=F("total") + number):
        WebhookCount.objects.create(outcome=outcome, total=number)


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]
