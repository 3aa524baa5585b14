"""The rounds of a loop as one row: its newest event, with the number of rounds (see `history.loops`)."""

from collections.abc import Iterable

from daemon_programs.models import Event

_NO_ROUND = ("", "-")  # digests of what ends no round of a loop


def folded(events: Iterable[Event]) -> list[Event]:
    """Return events, newest first, without what the newest event of a loop stands for; it gets ``times``."""
    shown = []
    loops: dict[tuple[str, int | None, int | None], Event | None] = {}  # by process: the last round seen
    for event in events:
        process = (event.group, event.port, event.instance)
        newer = loops.get(process)
        if newer is not None and _belongs(event, newer):
            if event.round_digest:
                loops[process] = event
            continue
        is_loop = event.rounds > 1 and event.round_digest not in _NO_ROUND
        if is_loop:
            event.times = event.rounds  # type: ignore[attr-defined]
        loops[process] = event if is_loop else None
        shown.append(event)
    return shown


def _belongs(event: Event, newer: Event) -> bool:
    """Return whether an event belongs to the loop that a newer event of its process ends a round of."""
    if not event.round_digest:
        return True
    return event.round_digest == newer.round_digest and event.rounds < newer.rounds
