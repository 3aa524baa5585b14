"""Validate the body of a launch on one of the hosts."""

from typing import Any

from rest_framework import serializers
from rest_framework.fields import empty

from daemon_programs.serializers.fields import StrictList, StrictSerializer, StrictString, StrictStringMap
from quick_start.serializers import LaunchSerializer

_MOST_NAMES = 1000


class WantedHostsSerializer(StrictSerializer):
    """Choose hosts. Each field narrows the choice."""

    names = StrictList(
        child=StrictString(max_length=128),
        max_length=_MOST_NAMES,
        required=False,
        help_text="Any of these: names, or globs.",
    )
    labels = StrictStringMap(required=False, help_text="All of these.")

    def run_validation(self, data: Any = empty) -> Any:
        """Require an object; the serializer's own sentence doesn't name the field."""
        if data is not empty and type(data) is not dict:
            raise serializers.ValidationError("Field 'hosts' must be an object with names or labels")
        return super().run_validation(data)


class PlacedLaunchSerializer(LaunchSerializer):
    """The body of a launch on one of the hosts. The host checks the values of the program's fields."""

    hosts = WantedHostsSerializer(required=False, help_text="Which hosts may be chosen; without it, all.")
