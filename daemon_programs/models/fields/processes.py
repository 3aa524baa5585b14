"""The world of a program's process, and what is kept of it."""

from daemon_programs.models.fields.field import Kind, ProgramField
from daemon_programs.validators import processes

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
        "memory_limit_bytes",
        Kind.INTEGER,
        "Restarted when its process tree uses more memory (RSS) for several seconds. A temporary program is "
        "stopped.",
        example=536870912,
        section="Process",
        help_text="Restarted when its process tree uses more memory for several seconds.",
        limits=processes.MEMORY_LIMIT_BYTES,
        nullable=True,
        restarts=False,
        hides_default=True,
    ),
)
