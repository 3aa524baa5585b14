"""Count the rounds of a loop, instead of keeping the events of each.

A program that ends and is restarted all day would evict the history of all others. A *round* is what a
process goes through between two restarts that nobody requested. Ten identical rounds in a row are kept;
of the further ones only the last event of the latest, which counts them. So what goes on is recorded as it
happens, and the newest event of a process is always kept.
"""

import hashlib
from collections.abc import Iterable

from daemon_programs.models import Delivery, Event

_LONGEST_ROUND = 24  # events
# Changes by these are the business of people, or happen once: they are kept, however often they happen.
_NO_LOOP = frozenset({"api", "admin", "command", "daemon", "boot", "shutdown", "ttl", "gap"})
_NONE = "-"  # the digest of what is no round of a loop


def fold(events: Iterable[Event]) -> None:
    """Count the rounds that end with one of some new events, and delete what is only counted.

    Call it in the transaction that records the events, in their order.
    """
    for event in events:
        if event.state in ("backoff", "stopped") and event.by not in _NO_LOOP:
            _end_round(event)


def _end_round(event: Event) -> None:
    process = Event.objects.of_process(event).filter(pk__lt=event.pk)
    round, last = [event], None
    for before in process.order_by("-pk")[:_LONGEST_ROUND]:
        if before.round_digest:
            last = before
            break
        round.append(before)
    event.round_digest = _digest(round)
    is_repeated = last is not None and last.round_digest == event.round_digest != _NONE
    event.rounds = last.rounds + 1 if last is not None and is_repeated else 1
    event.save(update_fields=["round_digest", "rounds"])
    if event.is_counting:
        kept = process.filter(rounds=Event.KEPT_ROUNDS).order_by("-pk").values_list("pk", flat=True).first()
        # What webhooks are still to deliver is deleted with a later round.
        pending = Delivery.objects.pending().filter(program_id=event.program_id or 0).values("event")
        process.filter(pk__gt=kept or 0).exclude(pk__in=pending).delete()


def _digest(round: Iterable[Event]) -> str:
    """Return what two rounds with the same changes, causes and outcomes have in common."""
    what = []
    for event in round:
        if event.by in _NO_LOOP:
            return _NONE
        what.append((event.from_state, event.state, event.by, event.exit_code, event.signal, event.error))
    return hashlib.blake2b(repr(what).encode(), digest_size=8).hexdigest()
