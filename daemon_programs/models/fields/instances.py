"""How many processes a program has."""

from daemon_programs.models.fields.field import Kind, ProgramField
from daemon_programs.validators import instances

INSTANCE_FIELDS: tuple[ProgramField, ...] = (
    ProgramField(
        "numprocs",
        Kind.INTEGER,
        "So many equal processes, numbered from 0, each started and stopped on its own. `{instance}` in the "
        "command stands for the number. Not together with `port_range`.",
        example=3,
        default=1,
        section="Instances",
        help_text="So many equal processes. {instance} in the command stands for the number, from 0.",
        limits=instances.NUMPROCS,
        temporary=False,
        hides_default=True,
    ),
)
