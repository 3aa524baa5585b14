"""How a program is asked to end."""

from daemon_programs.models.fields.field import Kind, ProgramField
from daemon_programs.validators import rules

STOPPING_FIELDS: tuple[ProgramField, ...] = (
    ProgramField(
        "stop_grace_seconds",
        Kind.INTEGER,
        "Seconds from SIGTERM to SIGKILL when it is stopped. 0: SIGKILL at once.",
        example=20,
        default=10,
        section="Stopping",
        limits=rules.STOP_GRACE_SECONDS,
        restarts=False,
        hides_default=True,
    ),
)
