"""When a program is ready."""

from daemon_programs.models.fields.field import Kind, ProgramField
from daemon_programs.validators import rules

PROBE_FIELDS: tuple[ProgramField, ...] = (
    ProgramField(
        "ready_port",
        Kind.INTEGER,
        "Ready when 127.0.0.1 accepts connections on this port. Not together with `port_range`.",
        example=9000,
        section="Readiness",
        help_text="It is ready when 127.0.0.1 accepts connections on this port.",
        limits=rules.PORTS,
        nullable=True,
        restarts=False,
        temporary=False,
    ),
)
