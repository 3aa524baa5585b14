"""The units of a program's quantities, which stand beside the numbers instead of in the labels."""

from daemon_programs.models.fields import PROGRAM_FIELDS

_UNITS = ("seconds", "bytes")  # by the ends of names
# What a field is called where the rest of its name does not say it.
_LABELS = {"start_seconds": "Running after", "stable_seconds": "Stable after", "log_max_bytes": "Largest log"}

# The units of the fields that have one, by their names.
UNITS = {field.name: unit for field in PROGRAM_FIELDS for unit in _UNITS if field.name.endswith(f"_{unit}")}


def label_of(name: str) -> str:
    """Return the label of a quantity, without its unit."""
    return _LABELS.get(name) or name.removesuffix(f"_{UNITS[name]}").replace("_", " ").capitalize()
