"""How a program is asked to end, or to read its configuration again."""

from daemon_programs.models.fields.field import Kind, ProgramField
from daemon_programs.supervisor.processes import signals
from daemon_programs.validators import rules

STOPPING_FIELDS: tuple[ProgramField, ...] = (
    ProgramField(
        "stop_grace_seconds",
        Kind.INTEGER,
        "Seconds from `stop_signal` to SIGKILL when it is stopped. 0: SIGKILL at once.",
        example=20,
        default=10,
        section="Stopping",
        help_text="Seconds from the first signal to SIGKILL. 0: SIGKILL at once.",
        limits=rules.STOP_GRACE_SECONDS,
        restarts=False,
        hides_default=True,
    ),
    ProgramField(
        "stop_signal",
        Kind.CHOICE,
        "The signal that asks it to end. Not together with `terminal_id`.",
        example="QUIT",
        default="TERM",
        section="Stopping",
        help_text="The signal that asks it to end.",
        choices=signals.STOP_SIGNALS,
        restarts=False,
        hides_default=True,
    ),
    ProgramField(
        "stop_scope",
        Kind.CHOICE,
        "Which processes get it: `main`, the program's own, after whose end the rest of the tree gets "
        "SIGTERM; or `tree`, all at once.",
        example="tree",
        default=signals.MAIN,
        section="Stopping",
        help_text="main: the program's own process, then what is left gets SIGTERM. tree: all at once.",
        choices=signals.SCOPES,
        restarts=False,
        hides_default=True,
    ),
    ProgramField(
        "reload",
        Kind.JSON,
        "What a reload does: send a signal to the program's process, or run a command as its user, in its "
        "directory, with its environment and `MAINPID`.",
        example={"signal": "HUP"},
        section="Stopping",
        help_text="What a reload does.",
        nullable=True,
        restarts=False,
        temporary=False,
        schema={
            "type": "object",
            "oneOf": [
                {
                    "properties": {"signal": {"type": "string", "enum": list(signals.RELOAD_SIGNALS)}},
                    "required": ["signal"],
                    "additionalProperties": False,
                },
                {
                    "properties": {"command": {"type": "string", "minLength": 1}},
                    "required": ["command"],
                    "additionalProperties": False,
                },
            ],
        },
    ),
)
