"""The world of a program's process, and what is kept of it."""

from daemon_programs.models.fields.field import Kind, ProgramField
from daemon_programs.validators import processes

_COMMAND = {"type": "string", "minLength": 1, "pattern": r"^[^\u0000\n\r]*[^\u0000\s][^\u0000\n\r]*$"}
_TIMEOUT = {
    "type": "integer",
    "minimum": processes.COMMAND_SECONDS[0],
    "maximum": processes.COMMAND_SECONDS[1],
    "default": processes.DEFAULT_COMMAND_SECONDS,
}

PROCESS_FIELDS: tuple[ProgramField, ...] = (
    ProgramField(
        "stdin",
        Kind.CHOICE,
        "Its standard input. `null` is at its end at once, `pipe` is written by `input`. "
        "Not together with `terminal_id`.",
        example="pipe",
        default=processes.NULL,
        section="Process",
        help_text="null: at its end at once; pipe: written by the API.",
        choices=processes.STDIN,
        hides_default=True,
    ),
    ProgramField(
        "before_start",
        Kind.JSON,
        "Commands that are run one after another before each start: strings, or objects with `command` and "
        "`timeout` in seconds. A failing one fails the start.",
        example=["mkdir -p cache", {"command": "./manage.py migrate", "timeout": 300}],
        default=[],
        section="Process",
        help_text="Commands that run before each start, in order. If one fails, the start has failed.",
        nullable=True,
        restarts=False,
        hides_default=True,
        schema={
            "type": "array",
            "maxItems": processes.MAX_COMMANDS,
            "items": {
                "oneOf": [
                    _COMMAND,
                    {
                        "type": "object",
                        "properties": {"command": _COMMAND, "timeout": _TIMEOUT},
                        "required": ["command"],
                        "additionalProperties": False,
                    },
                ]
            },
        },
    ),
    ProgramField(
        "memory_limit_bytes",
        Kind.INTEGER,
        "Restarted when its process tree uses more memory (RSS) for several seconds. A temporary program is "
        "stopped.",
        example=536870912,
        section="Process",
        help_text="Restarted when its process tree uses more for several seconds. Empty: no limit.",
        limits=processes.MEMORY_LIMIT_BYTES,
        nullable=True,
        restarts=False,
        hides_default=True,
    ),
)
