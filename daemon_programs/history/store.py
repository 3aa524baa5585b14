"""Store state changes: in order, each one once.

The plugin's journal holds the changes that are not recorded yet. The event listener writes a batch of
them, with the webhook deliveries that follow from it, in one transaction. Only then does the plugin drop
the batch, so a listener that was killed continues where it stopped.

The changes that a killed supervisord did not report are a *gap*. The next start closes it with an event
for each process that was last reported as active.
"""

import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db.models import Max, Q

from daemon_programs.history import loops, retention
from daemon_programs.models import Event
from daemon_programs.supervisor.events import StateChange
from daemon_programs.supervisor.states import ProgramState
from daemon_programs.timestamps import milliseconds
from daemon_programs.transactions import exclusive_transaction
from daemon_programs.webhooks import deliveries

logger = logging.getLogger(__name__)

GAP = "gap"  # the cause of a change that supervisord did not report
_AT_REST = ("stopped", "exited", "fatal")
_LOST = "supervisord ended before it could tell how this ended"
_MISSED = "changes before this one were lost"


def last_recorded(boot: str) -> int:
    """Return the number of the last recorded entry of a supervisord's journal; 0 if there is none."""
    return Event.objects.filter(boot=boot).aggregate(last=Max("number"))["last"] or 0


def record(boot: str, changes: Sequence[StateChange]) -> list[Event]:
    """Record a batch of the journal, without what is recorded already; return the new events."""
    last = last_recorded(boot)
    events = [_event(boot, change) for change in changes if change.number > last]
    with exclusive_transaction():
        Event.objects.bulk_create(events)
        deliveries.enqueue(events)
        loops.fold(events)
    return events


def close_gaps(states: dict[str, ProgramState], error: str = _LOST) -> list[Event]:
    """Add events where the last recorded state of a process is not its present one; return them.

    ``states`` are those of supervisord, by group. They are empty when the stack starts and nothing runs.
    """
    now = datetime.now(UTC)
    events = [
        Event(
            at=now,
            group=last.group,
            name=last.name,
            port=last.port,
            instance=last.instance,
            from_state=last.state,
            state=state,
            pid=last.pid,
            error=error,
            by=GAP,
            is_gap=True,
        )
        for last in _last_of_each_process(states)
        if (state := _state_now(states, last)) != last.state
    ]
    with exclusive_transaction():
        Event.objects.bulk_create(events)
        deliveries.enqueue(events)
    return events


def close_gaps_after_loss(states: dict[str, ProgramState]) -> list[Event]:
    """Close gaps after the journal has overflowed, because the listener was away for too long."""
    return close_gaps(states, _MISSED)


def _last_of_each_process(states: dict[str, ProgramState]) -> Iterable[Event]:
    """Return the last event of each process, except of those at rest that supervisord doesn't report."""
    processes = Event.objects.order_by().values("group", "port", "instance")
    lasts = processes.annotate(last=Max("id")).values("last")
    gone_and_at_rest = Q(state__in=_AT_REST) & ~Q(group__in=list(states))
    return Event.objects.filter(pk__in=lasts).exclude(gone_and_at_rest).order_by("id")


def _state_now(states: dict[str, ProgramState], last: Event) -> str:
    """Return the present state of a process; without a report, one at rest has kept its last state."""
    name = last.group if last.key is None else last.key.process
    program = states.get(last.group)
    if program is not None and name in program["processes"]:
        return program["processes"][name]["state"]
    return last.state if last.state in _AT_REST else "stopped"


def purge() -> int:
    """Delete events that are too old or too many, with their deliveries; return how many.

    The newest event is kept, however old it is.
    """
    return retention.purge(Event.objects.all(), keep_newest=True)


def event_document(event: Event) -> dict[str, Any]:
    """Return an event as ``GET events`` and the event stream show it, without the keys that are not set."""
    document: dict[str, Any] = {
        "id": event.pk,
        "at": milliseconds(event.at),
        "program_id": event.program_id,
        "temporary_id": event.temporary_id,
        "name": event.name,
        "port": event.port,
        "instance": event.instance,
        "from_state": event.from_state,
        "state": event.state,
        "pid": event.pid,
        "exit_code": event.exit_code,
        "signal": event.signal or None,
        "error": event.error or None,
        "by": event.by,
        "user": event.user or None,
        "gap": event.is_gap,
        "repeated": event.repeated if event.is_counting else None,
    }
    return {key: value for key, value in document.items() if value is not None}


def _event(boot: str, change: StateChange) -> Event:
    ended = change.last_run
    by, _, user = change.by.partition(":")
    return Event(
        boot=boot,
        number=change.number,
        at=change.at,
        group=change.group,
        name=change.name,
        from_state=change.from_state,
        state=change.state,
        pid=change.pid,
        exit_code=ended["exit_code"] if ended else None,
        signal=(ended and ended["signal"]) or "",
        error=(ended and ended["error"]) or "",
        by=by,
        user=user,
        **({change.key.kind.name: change.key.value} if change.key else {}),
    )
