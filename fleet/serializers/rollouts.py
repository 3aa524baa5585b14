"""Validate the bodies and queries of roll-outs."""

from typing import Any

from rest_framework import serializers
from rest_framework.fields import empty

from daemon_programs.serializers.applying import ApplySerializer
from daemon_programs.serializers.batch import BatchSerializer
from daemon_programs.serializers.fields import (
    StrictBoolean,
    StrictInteger,
    StrictSerializer,
)
from daemon_programs.serializers.query_fields import QueryChoice, QueryCursor, QueryInteger
from fleet.models.rollout import STATES
from fleet.serializers.choice import MOST_HOSTS, HostChoiceSerializer

# The fields of a roll-out itself; all others are for the hosts.
OWN_FIELDS = ("hosts", "at_once", "max_failures", "settle_seconds", "skip_lost", "paused", "dry_run", "wait")


class HostsSerializer(HostChoiceSerializer):
    """Choose the hosts of a roll-out. Each field narrows the choice."""

    all = StrictBoolean(default=False, help_text="All hosts; without the other fields.")

    def run_validation(self, data: Any = empty) -> Any:
        """Require the field; the serializer's own sentence doesn't name it."""
        if data is empty:
            raise serializers.ValidationError("Field 'hosts' is required")
        return super().run_validation(data)

    def validate(self, values: dict[str, Any]) -> Any:
        """Return names and labels; refuse a choice that names nothing, or all and something."""
        takes_all = values.pop("all")
        if takes_all and values:
            raise serializers.ValidationError("Field 'hosts' can't be combined: all is without other fields")
        if not takes_all and not values:
            raise serializers.ValidationError(
                "Field 'hosts' must name hosts: by names or labels, or all: true"
            )
        return {"names": values.get("names", []), "labels": values.get("labels", [])}


class RolloutSerializer(StrictSerializer):
    """The fields that all roll-outs have."""

    hosts = HostsSerializer()
    at_once = StrictInteger(limits=(1, 100), default=1, help_text="Hosts that are changed at a time.")
    max_failures = StrictInteger(
        limits=(0, MOST_HOSTS), default=0, help_text="With more hosts that have failed, it stops."
    )
    settle_seconds = StrictInteger(
        limits=(0, 3600),
        default=0,
        help_text="How long the programs of a host must stay well before the next host.",
    )
    skip_lost = StrictBoolean(
        default=False, help_text="Skip hosts that are lost, in place of counting them as failures."
    )
    paused = StrictBoolean(default=False, help_text="Begin with no host until it is resumed.")
    dry_run = StrictBoolean(
        default=False, help_text="Return what each host would do, as it says itself, and change nothing."
    )
    wait = StrictBoolean(
        default=False, help_text="Answer once it has ended, or is paused; within 300 seconds (504)."
    )

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """Refuse options of a roll-out that is not begun."""
        for name in ("wait", "paused"):
            if values["dry_run"] and values[name]:
                raise serializers.ValidationError({name: [f"Field '{name}' can't be combined with dry_run"]})
        return values


class FleetApplySerializer(RolloutSerializer, ApplySerializer):
    """Validate the body of ``fleet/apply``. Hosts always wait for their programs."""

    revision = None  # type: ignore[assignment]  # each host has its own
    timeout = StrictInteger(
        limits=(1, 300), default=30, help_text="Seconds that each host has until its programs are ready."
    )
    rollback = StrictBoolean(
        default=False,
        help_text="A host on which a program does not become ready goes back to its former configuration.",
    )

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """Check what needs what; that hosts wait is understood."""
        RolloutSerializer.validate(self, values)
        return {**ApplySerializer.validate(self, {**values, "wait": True}), "wait": values["wait"]}


class FleetBatchSerializer(RolloutSerializer, BatchSerializer):
    """Validate the body of ``fleet/batch``. Hosts always wait for what they start."""

    timeout = StrictInteger(
        limits=(1, 300),
        default=30,
        help_text="Of `start` and `restart`: seconds that each host has until its programs run.",
    )

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """Refuse options of other actions."""
        RolloutSerializer.validate(self, values)
        return {**BatchSerializer.validate(self, {**values, "wait": False}), "wait": values["wait"]}


class RolloutQuerySerializer(serializers.Serializer):
    """Validate the query of ``fleet/rollouts``."""

    state = QueryChoice(STATES, required=False)
    limit = QueryInteger(1, 1000, default=100)
    cursor = QueryCursor(required=False)
