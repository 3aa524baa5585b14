"""Hand out the parts of a roll-out, so many at a time, and end it. All hubs do so, one after the other."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.db.models import Count, QuerySet

from fleet import database
from fleet.models import Link, Rollout, RolloutPart
from fleet.rollouts.messages import is_changed

_State = RolloutPart.State
FAILURES = (_State.FAILED, _State.UNKNOWN)


def advance(rollout_id: int) -> None:
    """Begin with as many parts as may be under way, or end the roll-out if it is over."""
    if not _may_advance(rollout_id):
        return
    with database.atomic():
        rollout = Rollout.objects.select_for_update().defer("body").get(pk=rollout_id)
        if rollout.state == Rollout.State.RUNNING:
            _hand_out(rollout)
        elif rollout.state == Rollout.State.ROLLING_BACK:
            _hand_back(rollout)
        _end_if_over(rollout)


def skip_pending(rollout: Rollout, reason: str) -> None:
    """Skip the parts that are still pending."""
    rollout.parts.filter(state=_State.PENDING).update(
        state=_State.SKIPPED, error=reason, ended_at=database.now()
    )


def take_up_again(rollout: Rollout) -> None:
    """Have parts that could not be rolled back tried once more; how they were left is not known any more."""
    rollout.parts.filter(is_going_back=True, state__in=FAILURES).update(
        is_going_back=False, state=_State.UNKNOWN, code=None
    )


def count(rollout: Rollout) -> Counter[str]:
    """Return how many parts there are of each state."""
    return count_each([rollout])[rollout.pk]


def count_each(rollouts: Iterable[Rollout]) -> dict[int, Counter[str]]:
    """Return how many parts there are of each state, by the ids of roll-outs."""
    counts: dict[int, Counter[str]] = {rollout.pk: Counter() for rollout in rollouts}
    parts = RolloutPart.objects.filter(rollout__in=counts).order_by()
    for id, state, number in parts.values_list("rollout_id", "state").annotate(Count("id")):
        counts[id][state] = number
    return counts


def _may_advance(rollout_id: int) -> bool:
    """Return whether there may be anything to do; without it, each look would keep writers waiting."""
    rollout = Rollout.objects.defer("body").filter(pk=rollout_id).first()
    if rollout is None:
        return False
    counts = count(rollout)
    if rollout.state == Rollout.State.ROLLING_BACK:
        return counts[_State.RUNNING] < rollout.at_once
    has_room = rollout.state == Rollout.State.RUNNING and counts[_State.RUNNING] < rollout.at_once
    return bool(counts[_State.PENDING] and has_room) or not counts[_State.RUNNING]


def _hand_out(rollout: Rollout) -> None:
    counts = count(rollout)
    failures = sum(counts[state] for state in FAILURES)
    room = rollout.at_once - counts[_State.RUNNING]
    pending = rollout.parts.filter(state=_State.PENDING).order_by("place") if room > 0 else []
    lost = _lost_hosts() if pending else {}
    for part in pending:
        if room <= 0 or failures > rollout.max_failures:
            break
        if part.host in lost:
            failures += not rollout.skip_lost
            _refuse(part, _State.SKIPPED if rollout.skip_lost else _State.FAILED, lost[part.host])
        else:
            room -= 1
            _begin(part)
    if failures > rollout.max_failures:
        skip_pending(rollout, f"The roll-out stopped after {_failures(failures)}")


def _hand_back(rollout: Rollout) -> None:
    room = rollout.at_once - rollout.parts.filter(state=_State.RUNNING).count()
    for part in _to_take_back(rollout)[: max(room, 0)]:
        _begin(part, is_going_back=True, requests=None, position=0, sent_at=None, error="")


def _to_take_back(rollout: Rollout) -> list[RolloutPart]:
    """Return the parts that have changed their host, the last one first."""
    ended = rollout.parts.filter(is_going_back=False, state__in=(_State.SUCCEEDED, *FAILURES))
    return [part for part in ended.order_by("-place") if is_changed(part)]


def _end_if_over(rollout: Rollout) -> None:
    counts = count(rollout)
    if counts[_State.RUNNING] or rollout.ended_at is not None:
        return
    if rollout.state == Rollout.State.RUNNING and not counts[_State.PENDING]:
        has_failed = any(counts[state] for state in FAILURES)
        rollout.state = Rollout.State.FAILED if has_failed else Rollout.State.SUCCEEDED
    elif rollout.state == Rollout.State.ROLLING_BACK:
        if _to_take_back(rollout):
            return
        has_failed = rollout.parts.filter(is_going_back=True, state__in=FAILURES).exists()
        rollout.state = Rollout.State.FAILED if has_failed else Rollout.State.ROLLED_BACK
    elif rollout.state != Rollout.State.CANCELLED:
        return
    rollout.ended_at = database.now()
    rollout.save(update_fields=["state", "ended_at"])


def _begin(part: RolloutPart, **changes: Any) -> None:
    now = database.now()
    _rows(part).update(
        state=_State.RUNNING, started_at=now, ended_at=None, due_at=now, silent_since=None, **changes
    )


def _refuse(part: RolloutPart, state: str, error: str) -> None:
    now = database.now()
    _rows(part).update(state=state, error=error, started_at=now, ended_at=now)


def _rows(part: RolloutPart) -> QuerySet[RolloutPart]:
    return RolloutPart.objects.filter(pk=part.pk)


def _lost_hosts() -> dict[str, str]:
    """Return what is told of the hosts that followers have lost, by name."""
    links = Link.objects.filter(state=Link.State.LOST).values_list("host__name", "error")
    return {name: f"Host '{name}' is lost{f': {error}' if error else ''}" for name, error in links}


def _failures(count: int) -> str:
    return "1 failure" if count == 1 else f"{count} failures"
