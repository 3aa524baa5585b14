"""Begin roll-outs and steer them: one function per verb. The queue does the rest."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from daemon_programs.exceptions import Refused, WaitTimedOut
from daemon_programs.supervisor.changes import Watch
from daemon_programs.supervisor.gateway import changes
from daemon_programs.text import to_number
from fleet import database
from fleet.exceptions import HostUnreachable, RolloutNotFound, TokenUnreadable
from fleet.models import Host, Link, Rollout, RolloutPart
from fleet.rollouts import handing
from fleet.rollouts.schedule import drive_soon
from fleet.rollouts.targets import Targets

_ASKED_AT_ONCE = 8
_ANSWER_SECONDS = 20.0
_LONGEST_WAIT_SECONDS = 300
_LOOK_SECONDS = 0.5
_KEPT = 200

_State = Rollout.State


@dataclass(frozen=True)
class Wanted:
    """What is to be done on hosts: the route by its last word, and the body for each of them."""

    kind: str
    body: dict[str, Any]
    targets: Targets
    at_once: int = 1
    max_failures: int = 0
    settle_seconds: int = 0
    skip_lost: bool = False
    paused: bool = False


def begin(wanted: Wanted, user: str, *, wait: bool = False) -> Rollout:
    """Begin a roll-out and return it; with ``wait`` once it has ended.

    Raise WaitTimedOut if that takes too long, and TooManyWaits, before anything is begun.
    """
    with changes.watch() if wait else nullcontext() as watch:
        rollout = _make(wanted, user)
        drive_soon()
        if watch is not None:
            _wait(rollout, watch)
    return get(rollout.pk)


def rehearse(wanted: Wanted, user: str) -> list[dict[str, Any]]:
    """Return what each host would do, as it says itself, and change nothing."""
    hosts = wanted.targets.hosts()
    lost = set(Link.objects.filter(state=Link.State.LOST).values_list("host__name", flat=True))
    body = {**wanted.body, "dry_run": True}

    def ask(host: Host) -> dict[str, Any]:
        return _rehearsed(host, wanted.kind, body, user, is_lost=host.name in lost)

    with ThreadPoolExecutor(_ASKED_AT_ONCE, thread_name_prefix="rehearsal") as pool:
        return list(pool.map(ask, hosts))


def get(id: object) -> Rollout:
    """Return a roll-out; raise RolloutNotFound."""
    number = to_number(str(id))
    rollout = None if number is None else Rollout.objects.filter(pk=number).first()
    if rollout is None:
        raise RolloutNotFound(id)
    return rollout


def pause(id: object, user: str) -> Rollout:
    """Begin with no further host. What is under way goes on."""

    def change(rollout: Rollout) -> None:
        _require(rollout, "paused", _State.RUNNING, _State.PAUSED)
        rollout.state = _State.PAUSED

    return _changed(id, change)


def resume(id: object, user: str) -> Rollout:
    """Go on with a roll-out that was paused, for this person from now on."""

    def change(rollout: Rollout) -> None:
        _require(rollout, "resumed", _State.RUNNING, _State.PAUSED)
        if rollout.state == _State.PAUSED:
            rollout.state, rollout.acting_for = _State.RUNNING, user

    return _changed(id, change)


def cancel(id: object, user: str) -> Rollout:
    """Skip the hosts that are still pending, for good. What is under way goes on."""

    def change(rollout: Rollout) -> None:
        _require(rollout, "cancelled", _State.RUNNING, _State.PAUSED, _State.CANCELLED)
        rollout.state = _State.CANCELLED
        handing.skip_pending(rollout, "The roll-out was cancelled")

    return _changed(id, change)


def roll_back(id: object, user: str) -> Rollout:
    """Take back what was changed on each host, the last one first, for this person."""

    def change(rollout: Rollout) -> None:
        if rollout.kind != Rollout.Kind.APPLY:
            raise Refused("A batch can't be rolled back: there is no opposite of what it does")
        if rollout.state in (_State.ROLLING_BACK, _State.ROLLED_BACK):
            return
        rollout.state, rollout.acting_for, rollout.ended_at = _State.ROLLING_BACK, user, None
        handing.skip_pending(rollout, "The roll-out was rolled back")
        handing.take_up_again(rollout)

    return _changed(id, change)


VERBS: dict[str, Callable[[object, str], Rollout]] = {
    "pause": pause,
    "resume": resume,
    "cancel": cancel,
    "rollback": roll_back,
}


def _changed(id: object, change: Callable[[Rollout], None]) -> Rollout:
    """Change a roll-out while no hub hands out its parts; return it."""
    key = get(id).pk
    with database.atomic():
        rollout = Rollout.objects.select_for_update().get(pk=key)
        change(rollout)
        rollout.save()
    handing.advance(key)  # one that has no hosts, or none any more, ends at once
    drive_soon()
    return get(key)


def _require(rollout: Rollout, done: str, *states: str) -> None:
    if rollout.state not in states:
        is_over = "is being rolled back" if rollout.state == _State.ROLLING_BACK else "has ended"
        raise Refused(f"Roll-out {rollout.pk} {is_over}, and can't be {done}")


def _make(wanted: Wanted, user: str) -> Rollout:
    hosts = wanted.targets.hosts()
    with database.atomic():
        rollout = Rollout.objects.create(
            kind=wanted.kind,
            body=wanted.body,
            user=user,
            acting_for=user,
            at_once=wanted.at_once,
            max_failures=wanted.max_failures,
            settle_seconds=wanted.settle_seconds,
            skip_lost=wanted.skip_lost,
            state=_State.PAUSED if wanted.paused else _State.RUNNING,
        )
        RolloutPart.objects.bulk_create(
            RolloutPart(rollout=rollout, host=host.name, place=place) for place, host in enumerate(hosts)
        )
    _forget_old()
    handing.advance(rollout.pk)
    return rollout


def _forget_old() -> None:
    """Delete all but the latest roll-outs, unless they are under way: they hold copies of programs."""
    oldest = Rollout.objects.order_by("-pk").values_list("pk", flat=True)[_KEPT - 1 : _KEPT].first()
    if oldest is not None:
        under_way = Rollout.objects.active().values("pk")
        Rollout.objects.filter(pk__lt=oldest, ended_at__isnull=False).exclude(pk__in=under_way).delete()


def _wait(rollout: Rollout, watch: Watch) -> None:
    """Wait until a roll-out has ended, or is paused."""
    began = timezone.now()
    while get(rollout.pk).state in (_State.RUNNING, _State.ROLLING_BACK):
        if (timezone.now() - began).total_seconds() > _LONGEST_WAIT_SECONDS:
            sentence = (
                f"Roll-out {rollout.pk} has not ended within {_LONGEST_WAIT_SECONDS} seconds; it goes on"
            )
            raise WaitTimedOut(sentence, rollout_id=rollout.pk)
        watch.wait(_LOOK_SECONDS)


def _rehearsed(host: Host, kind: str, body: dict[str, Any], user: str, *, is_lost: bool) -> dict[str, Any]:
    if is_lost:
        return {"host": host.name, "error": f"Host '{host.name}' is lost"}
    from fleet import client  # loaded only where hosts are spoken to

    try:
        answer = client.call(host, "POST", f"programs/{kind}", body=body, user=user, seconds=_ANSWER_SECONDS)
    except (HostUnreachable, TokenUnreadable) as problem:
        return {"host": host.name, "error": str(problem)}
    if not answer.is_ok:
        return {"host": host.name, "code": answer.code, "error": answer.error, "answer": answer.document}
    return {"host": host.name, "code": answer.code, "answer": answer.document}
