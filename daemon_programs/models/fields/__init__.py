"""The list of a program's fields, from which everything else that lists them is derived.

These are the serializers, the JSON documents, the OpenAPI document with its examples, and the admin's form.
To add a field, add it to the module of its topic, to the model with a migration, and to the specification
that supervisord gets (`supervisor.spec`). The rules for values are in `validators`; the model's fields use
them.
"""

from copy import deepcopy
from functools import partial
from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator

from daemon_programs.models.fields.field import Kind, ProgramField
from daemon_programs.models.fields.instances import INSTANCE_FIELDS
from daemon_programs.models.fields.probes import PROBE_FIELDS
from daemon_programs.models.fields.processes import PROCESS_FIELDS
from daemon_programs.models.fields.published import PUBLISHED_FIELDS
from daemon_programs.models.fields.restarts import RESTART_FIELDS
from daemon_programs.models.fields.stopping import STOPPING_FIELDS
from daemon_programs.models.fields.world import WORLD_FIELDS

DEFAULT_PORT_PARAM = "--port"

# The sections of the admin's form in order: heading, introduction, and whether it is collapsed while none
# of its fields is used.
SECTIONS: list[tuple[str | None, str, bool]] = [
    (None, "", False),
    ("When it runs", "", False),
    ("Restarts", "", True),
    ("Process", "", True),
    ("Stopping", "", True),
    ("Readiness", "", True),
    ("Environment and limits", "", True),
    (
        "Port range",
        "One process per port, each started and stopped on its own. Leave the ports empty for one process.",
        True,
    ),
    (
        "Instances",
        "Several equal processes, each started and stopped on its own. Not together with a port range.",
        True,
    ),
    ("Display and terminal", "", True),
    ("Logs", "", True),
    ("Webhooks", "", True),
    ("Labels", "", True),
]

# Documents list the fields in this order.
PROGRAM_FIELDS: tuple[ProgramField, ...] = (
    *PUBLISHED_FIELDS,
    *RESTART_FIELDS,
    *STOPPING_FIELDS,
    *PROBE_FIELDS,
    *WORLD_FIELDS,
    *PROCESS_FIELDS,
    *INSTANCE_FIELDS,
)

FIELD = {field.name: field for field in PROGRAM_FIELDS}
WRITABLE_FIELDS = tuple(field for field in PROGRAM_FIELDS if not field.read_only)
TEMPORARY_FIELDS = tuple(field for field in PROGRAM_FIELDS if field.temporary)


def column(name: str) -> dict[str, Any]:
    """Return the keyword arguments of the model's field for a program's field."""
    field = FIELD[name]
    options: dict[str, Any] = {"help_text": field.description if field.help_text is None else field.help_text}
    if field.limits:
        low, high = field.limits
        options["validators"] = [MinValueValidator(low), MaxValueValidator(high)]
    if field.kind is Kind.STRINGS:
        options["default"] = dict
    elif field.kind is Kind.JSON and field.default is not None:
        options["default"] = partial(deepcopy, field.default)
    elif field.default is not None:
        options["default"] = field.default
    return options
