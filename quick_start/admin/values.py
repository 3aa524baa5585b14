"""What a temporary program was launched with, as values for the form of another run or of a program."""

from typing import Any

from django.forms import model_to_dict

from daemon_programs.models import Program
from daemon_programs.models.fields import TEMPORARY_FIELDS
from quick_start.models import EphemeralProgram

GONE = "This temporary program is not there any more: its record was purged"

_COLUMNS = [name for field in TEMPORARY_FIELDS for name in field.model_columns]


def for_another_run(record: EphemeralProgram) -> dict[str, Any]:
    """Return the initial values of the form of a launch. A name that was generated is generated again."""
    values = model_to_dict(record, [*_COLUMNS, "ttl"])
    return {**values, "name": "" if _is_generated(record) else record.name}


def as_program(record: EphemeralProgram) -> Program:
    """Return a program that is not stored, which runs what the record has run."""
    values = {name: getattr(record, name) for name in _COLUMNS}
    # Of a generated name, the part that tells what it runs: quick_sleep_1795288648711492.
    name = record.name.removesuffix(f"_{record.digits}").removeprefix("quick_")
    return Program(**{**values, "name": name if _is_generated(record) else record.name})


def _is_generated(record: EphemeralProgram) -> bool:
    return record.name.startswith("quick_") and record.name.endswith(f"_{record.digits}")
