"""Roll-outs as JSON."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from daemon_programs.timestamps import iso
from fleet.models import Rollout, RolloutPart
from fleet.rollouts import handing


def listed_rollouts(rollouts: Sequence[Rollout]) -> list[dict[str, Any]]:
    """Return roll-outs as JSON, without their parts."""
    counts = handing.count_each(rollouts)
    return [_listed(rollout, counts[rollout.pk]) for rollout in rollouts]


def _listed(rollout: Rollout, counts: Counter[str]) -> dict[str, Any]:
    document: dict[str, Any] = {
        "id": rollout.pk,
        "kind": rollout.kind,
        "state": rollout.state,
        "user": rollout.user,
        "began_at": _time(rollout.made_at),
        "at_once": rollout.at_once,
        "max_failures": rollout.max_failures,
        "settle_seconds": rollout.settle_seconds,
        "skip_lost": rollout.skip_lost,
        "counts": {state: counts[state] for state in RolloutPart.State.values},
    }
    if rollout.ended_at is not None:
        document["ended_at"] = _time(rollout.ended_at)
    return document


def rollout_document(rollout: Rollout) -> dict[str, Any]:
    """Return a roll-out as JSON, with what has become of it on each host."""
    parts = rollout.parts.defer("former", "requests").order_by("place")
    return {**listed_rollouts([rollout])[0], "body": rollout.body, "parts": [_part(part) for part in parts]}


def _part(part: RolloutPart) -> dict[str, Any]:
    """Return a part as JSON; what is not known (yet) is left out."""
    document: dict[str, Any] = {"host": part.host, "state": part.state, "attempts": part.attempts}
    optional = {
        "error": part.error,
        "started_at": _time(part.started_at),
        "ended_at": _time(part.ended_at),
        "code": part.code,
        "answer": part.answer,
    }
    return document | {name: value for name, value in optional.items() if value not in (None, "")}


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else iso(moment.timestamp())
