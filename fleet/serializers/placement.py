"""Validate the body of a launch on one of the hosts."""

from fleet.serializers.choice import HostChoiceSerializer
from quick_start.serializers import LaunchSerializer


class PlacedLaunchSerializer(LaunchSerializer):
    """The body of a launch on one of the hosts. The host checks the values of the program's fields."""

    hosts = HostChoiceSerializer(required=False, help_text="Which hosts may be chosen; without it, all.")
