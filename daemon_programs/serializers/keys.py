"""How requests name an instance of a program: by its port or by its number."""

from typing import Any

from rest_framework import serializers

from daemon_programs.supervisor.instances import KINDS, Key
from daemon_programs.validators.instances import NUMPROCS

NUMBERS = (0, NUMPROCS[1] - 1)  # of instances


def take_key(values: dict[str, Any], what: str) -> dict[str, Any]:
    """Replace ``port`` or ``instance`` by the ``key`` of the instance; refuse both at once.

    ``what`` is what the error message calls the latter.
    """
    keys = [Key(kind, values.pop(kind.name)) for kind in KINDS if kind.name in values]
    if len(keys) > 1:
        raise serializers.ValidationError({"instance": [f"{what} 'instance' can't be combined with port"]})
    return {**values, "key": keys[0]} if keys else values
