"""The permissions that roll-outs take: to operate hosts, and what the hosts' own routes take."""

from typing import Any

from daemon_programs.api.base import ADD, CHANGE, REMOVE, VIEW
from daemon_programs.api.batch import PERMISSIONS
from fleet.models import Rollout

SEE = ["fleet.view_rollout", *VIEW]  # they show what hosts have answered about programs
STEER = [*SEE, "fleet.view_host", "fleet.operate_host"]


def needed(kind: str, body: dict[str, Any]) -> list[str]:
    """Return the permissions to begin a roll-out. No host's plan is known then."""
    if kind == Rollout.Kind.APPLY:
        return [*STEER, *ADD, *CHANGE, *(REMOVE if body.get("prune") else [])]
    return [*STEER, *PERMISSIONS[body["action"]]]


def needed_to_steer(verb: str, kind: str, body: dict[str, Any]) -> list[str]:
    """Return the permissions for a verb of a roll-out: the way back removes what was created."""
    return [*needed(kind, body), *(REMOVE if verb == "rollback" else [])]


def needed_to_rehearse(kind: str, body: dict[str, Any]) -> list[str]:
    """Return the permissions to ask hosts what they would do: a plan is for all who may view them."""
    return [*SEE, "fleet.view_host"] if kind == Rollout.Kind.APPLY else needed(kind, body)
