"""Describe ``programs/apply`` for the OpenAPI document."""

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_serializer
from rest_framework import serializers

from daemon_programs.api.openapi.examples import request_example, response_example
from daemon_programs.api.openapi.once import KEY
from daemon_programs.api.openapi.responses import Success
from daemon_programs.serializers.applying import ApplySerializer

ACTIONS = ("create", "change", "unchanged", "remove")


class FieldChange(serializers.Serializer):
    """A field that differs, with the present value and the one that it gets."""

    field = serializers.CharField()
    to = serializers.JSONField(allow_null=True)

    def get_fields(self) -> dict[str, serializers.Field]:
        """Return the fields, with the one whose name is a word of Python."""
        return {**super().get_fields(), "from": serializers.JSONField(allow_null=True)}


@extend_schema_serializer(many=False)
class PlanStep(serializers.Serializer):
    """What becomes of one program."""

    name = serializers.CharField()
    id = serializers.IntegerField(allow_null=True, help_text="Null until the program is created.")
    action = serializers.ChoiceField(choices=ACTIONS)
    changes = FieldChange(many=True, help_text="Of a new program, the fields that are not the default.")
    restarts = serializers.BooleanField(help_text="Whether its process is replaced.")
    stops = serializers.BooleanField(help_text="Whether its process is ended: it is removed or disabled.")


class PlanCounts(serializers.Serializer):
    """How many programs take each action, and of how many the process is replaced or ended."""

    create = serializers.IntegerField()  # type: ignore[assignment]
    change = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    remove = serializers.IntegerField()
    restarts = serializers.IntegerField()
    stops = serializers.IntegerField()


@extend_schema_serializer(many=False)
class ApplyAnswer(Success):
    """The plan: what was done, or with `dry_run` what would be."""

    dry_run = serializers.BooleanField()
    set = serializers.CharField(allow_null=True)
    revision = serializers.CharField(
        help_text="The revision of all programs that the plan is about: after it, or with `dry_run` now."
    )
    plan = PlanStep(many=True)
    counts = PlanCounts()


def _step(name: str, id: int | None, action: str, *changes: dict[str, Any], **flags: bool) -> dict[str, Any]:
    return {
        "name": name,
        "id": id,
        "action": action,
        "changes": list(changes),
        "restarts": False,
        "stops": False,
        **flags,
    }


def _counts(**counts: int) -> dict[str, int]:
    return {**dict.fromkeys((*ACTIONS, "restarts", "stops"), 0), **counts}


_WEB = {"name": "web", "command": "python3 -m http.server 9000"}
_COMMAND = {"field": "command", "from": "python3 -m http.server 8000", "to": _WEB["command"]}

apply_programs = extend_schema(
    tags=["programs"],
    operation_id="applyPrograms",
    summary="Apply a list of programs",
    description=(
        "Changes programs to what the list says, as a whole or not at all. They are told apart by name; a "
        "field that is left out has its default, except for `id`. A program of another set is a 409, and so "
        "are programs that are not as in `revision`. With `wait`, a program that does not become ready is a "
        "400 (504 after `timeout`) with `not_ready`, and with `rollback` then `rolled_back`. It needs the "
        "permissions for what the plan does; with `dry_run` that to view."
    ),
    parameters=[KEY],
    request=ApplySerializer,
    responses=ApplyAnswer,
    examples=[
        request_example(
            "A set, to see what would change",
            set="shop",
            defaults={"user": "www-data", "environment": {"STAGE": "live"}},
            programs=[_WEB, {"name": "worker", "command": "celery worker", "boot": True}],
            prune=True,
            dry_run=True,
        ),
        request_example(
            "As it was shown, or not at all",
            set="shop",
            programs=[{**_WEB, "user": "www-data"}],
            revision="3c59dc048e8850243be8079a",
            wait=True,
            timeout=60,
            rollback=True,
        ),
        response_example(
            "What would change",
            dry_run=True,
            set="shop",
            revision="3c59dc048e8850243be8079a",
            plan=[
                _step("web", 1, "change", _COMMAND, restarts=True),
                _step("worker", None, "create", {"field": "boot", "from": None, "to": True}),
                _step("cron", 3, "remove", stops=True),
            ],
            counts=_counts(create=1, change=1, remove=1, restarts=1, stops=1),
        ),
        response_example(
            "Nothing was to be done",
            dry_run=False,
            set=None,
            revision="b6d767d2f8ed5d21a44b0e58",
            plan=[_step("web", 1, "unchanged")],
            counts=_counts(unchanged=1),
        ),
    ],
)
