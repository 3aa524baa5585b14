"""Validate which hosts a request is about."""

from typing import Any

from rest_framework import serializers
from rest_framework.fields import empty

from daemon_programs.serializers.batch import LabelsField
from daemon_programs.serializers.fields import StrictList, StrictSerializer, StrictString

MOST_HOSTS = 1000


class HostChoiceSerializer(StrictSerializer):
    """Choose hosts. Each field narrows the choice."""

    names = StrictList(
        child=StrictString(max_length=63),
        max_length=MOST_HOSTS,
        required=False,
        help_text="Any of these: names, or globs. A name that no host has is a 404.",
    )
    labels = LabelsField()

    def run_validation(self, data: Any = empty) -> Any:
        """Require an object; the serializer's own sentence doesn't name the field."""
        if data is not empty and type(data) is not dict:
            raise serializers.ValidationError("Field 'hosts' must be an object")
        return super().run_validation(data)
