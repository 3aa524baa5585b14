"""Describe the routes of roll-outs for the OpenAPI document; requests don't run this."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_serializer
from rest_framework import serializers

from daemon_programs.api.openapi.examples import request_example, response_example
from daemon_programs.api.openapi.parameters import PAGE, query
from daemon_programs.api.openapi.responses import NextCursor, Success
from daemon_programs.serializers.verbs import NoFieldsSerializer
from fleet.models import Rollout
from fleet.models.rollout import PART_STATES, STATES
from fleet.serializers.rollouts import FleetApplySerializer, FleetBatchSerializer

_TAGS = ["roll-outs"]
_ID = OpenApiParameter(
    "id",
    {"type": "integer", "format": "int64", "minimum": 1},
    OpenApiParameter.PATH,
    description="The roll-out's id.",
)


class RolloutCounts(serializers.Serializer):
    """How many hosts there are of each state."""

    def get_fields(self) -> dict[str, serializers.Field]:
        """Return a number for each state."""
        return {state: serializers.IntegerField() for state in PART_STATES}


@extend_schema_serializer(many=False)
class RolloutPartAnswer(serializers.Serializer):
    """What has become of a roll-out on one host."""

    host = serializers.CharField()
    state = serializers.ChoiceField(
        choices=PART_STATES,
        help_text="`unknown`: the host may have been changed or not. `skipped`: it stays as it was.",
    )
    attempts = serializers.IntegerField(help_text="Requests to change the host that were sent.")
    error = serializers.CharField(required=False, help_text="Why it has failed, or is waiting.")
    started_at = serializers.DateTimeField(required=False)
    ended_at = serializers.DateTimeField(required=False)
    code = serializers.IntegerField(required=False, help_text="The status of the host's answer.")
    answer = serializers.JSONField(required=False, help_text="The host's own answer.")


class ListedRollout(serializers.Serializer):
    """A roll-out in the list."""

    id = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=Rollout.Kind.values)
    state = serializers.ChoiceField(choices=STATES)
    user = serializers.CharField()
    began_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(required=False)
    at_once = serializers.IntegerField()
    max_failures = serializers.IntegerField()
    settle_seconds = serializers.IntegerField()
    skip_lost = serializers.BooleanField()
    counts = RolloutCounts()


@extend_schema_serializer(many=False)
class WholeRollout(ListedRollout):
    """A roll-out with its parts, in the order of the hosts."""

    body = serializers.JSONField(help_text="What each host is asked for.")
    parts = RolloutPartAnswer(many=True)


class RolloutAnswer(Success):
    """A roll-out."""

    rollout = WholeRollout()


@extend_schema_serializer(many=False)
class RolloutListAnswer(Success):
    """A page of roll-outs."""

    rollouts = ListedRollout(many=True)
    next = NextCursor()


@extend_schema_serializer(many=False)
class HostPlan(serializers.Serializer):
    """What a host would do, or why it can't be known."""

    host = serializers.CharField()
    code = serializers.IntegerField(required=False, help_text="The status of the host's answer.")
    answer = serializers.JSONField(required=False, help_text="The host's own answer, with its plan.")
    error = serializers.CharField(required=False)


@extend_schema_serializer(many=False)
class BegunRollout(Success):
    """The roll-out that was begun, or with `dry_run` what each host would do."""

    dry_run = serializers.BooleanField()
    rollout = WholeRollout(required=False)
    hosts = HostPlan(many=True, required=False)


def _counts(**counts: int) -> dict[str, int]:
    return {**dict.fromkeys(PART_STATES, 0), **counts}


def _rollout(**fields: Any) -> dict[str, Any]:
    return {
        "id": 7,
        "kind": "apply",
        "state": "running",
        "user": "alice",
        "began_at": "2026-11-27T10:00:00Z",
        "at_once": 2,
        "max_failures": 1,
        "settle_seconds": 30,
        "skip_lost": False,
        "counts": _counts(succeeded=1, pending=1),
        **fields,
    }


_BODY = {
    "set": "shop",
    "programs": [{"name": "web", "command": "python3 -m http.server 9000", "user": "www"}],
}
_PARTS = [
    {
        "host": "web-1",
        "state": "succeeded",
        "attempts": 1,
        "started_at": "2026-11-27T10:00:01Z",
        "ended_at": "2026-11-27T10:00:33Z",
        "code": 200,
        "answer": {"success": True},
    },
    {"host": "web-2", "state": "pending", "attempts": 0},
]
_WHOLE = _rollout(body=_BODY, parts=_PARTS)
_BEGUN = response_example("Begun", dry_run=False, rollout=_WHOLE)
_REHEARSED = response_example(
    "What would change",
    dry_run=True,
    hosts=[
        {"host": "web-1", "code": 200, "answer": {"success": True}},
        {"host": "web-2", "error": "Host 'web-2' is lost"},
    ],
)

apply_to_hosts = extend_schema(
    tags=_TAGS,
    operation_id="applyToHosts",
    summary="Apply a list of programs to hosts",
    description=(
        "Begins a roll-out: each host gets the list as by its own `programs/apply`, `at_once` of them at a "
        "time, in the order of their names. The next begins once the programs of one are ready and, with "
        "`settle_seconds`, have stayed well. With more than `max_failures` that have failed it stops. Needs "
        "the permissions to operate hosts, to add and to change programs, and with `prune` to remove them; "
        "with `dry_run` to view them and hosts."
    ),
    request=FleetApplySerializer,
    responses=BegunRollout,
    examples=[
        request_example(
            "Two hosts at a time",
            hosts={"labels": ["role=web"]},
            **_BODY,
            at_once=2,
            max_failures=1,
            settle_seconds=30,
            rollback=True,
        ),
        request_example("What would change", hosts={"all": True}, **_BODY, dry_run=True),
        _BEGUN,
        _REHEARSED,
    ],
)
batch_on_hosts = extend_schema(
    tags=_TAGS,
    operation_id="batchOnHosts",
    summary="Do something with programs of hosts",
    description=(
        "Begins a roll-out: each host does the action with the programs that `select` chooses there, as by "
        "its own `programs/batch`. A host fails if one of its programs does. Needs the permission to operate "
        "hosts, and that of the action."
    ),
    request=FleetBatchSerializer,
    responses=BegunRollout,
    examples=[
        request_example(
            "A restart, one host after the other",
            hosts={"names": ["web-*"]},
            action="restart",
            select={"labels": ["team=shop"]},
        ),
        _BEGUN,
        _REHEARSED,
    ],
)
list_rollouts = extend_schema(
    tags=_TAGS,
    operation_id="listRollouts",
    summary="List roll-outs",
    description="Newest first.",
    parameters=[
        query("state", {"type": "string", "enum": STATES}, "Only roll-outs in this state."),
        *PAGE,
    ],
    responses=RolloutListAnswer,
    examples=[response_example("One", rollouts=[_rollout()], next=None)],
)
retrieve_rollout = extend_schema(
    tags=_TAGS,
    operation_id="getRollout",
    summary="Get a roll-out",
    description="Returns a roll-out with what has become of it on each host, and the host's own answer.",
    parameters=[_ID],
    responses=RolloutAnswer,
    examples=[response_example("Under way", rollout=_WHOLE)],
)


def _steering(operation: str, summary: str, description: str, **fields: Any) -> Any:
    return extend_schema(
        tags=_TAGS,
        operation_id=operation,
        summary=summary,
        description=description,
        parameters=[_ID],
        request=NoFieldsSerializer,
        responses=RolloutAnswer,
        examples=[
            request_example("Empty body"),
            response_example("Done", rollout={**_WHOLE, **fields}),
        ],
    )


pause_rollout = _steering(
    "pauseRollout",
    "Pause a roll-out",
    "No further host is begun with. Hosts that are under way are completed.",
    state="paused",
)
resume_rollout = _steering("resumeRollout", "Resume a roll-out", "Goes on with a roll-out that was paused.")
cancel_rollout = _steering(
    "cancelRollout",
    "Cancel a roll-out",
    "Hosts that are still pending are skipped, for good. Hosts that are under way are completed.",
    state="cancelled",
)
roll_back_rollout = _steering(
    "rollBackRollout",
    "Roll a roll-out back",
    "Of an apply: each host that was changed gets its programs as they were before, `at_once` at a time, the "
    "last one first. A host whose programs have been changed since is left as it is, and has failed. Needs "
    "the permission to remove programs besides.",
    state="rolling_back",
)
