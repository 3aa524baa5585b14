"""The list of a program's fields, from which everything else that lists them is derived.

These are the serializers, the JSON documents, the OpenAPI document with its examples, and the admin's form.
To add a field, add it here, to the model with a migration, and to the specification that supervisord gets
(`supervisor.spec`). The rules for values are in `validators`; the model's fields use them.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator

from daemon_programs.supervisor.terminals import SHELLS
from daemon_programs.validators import rules


class Kind(Enum):
    """The JSON type of a field's value."""

    TEXT = auto()
    REQUIRED_TEXT = auto()  # neither missing nor blank
    INTEGER = auto()
    BOOLEAN = auto()
    CHOICE = auto()
    AUTORESTART = auto()  # a choice that clients may also send as a boolean
    STRINGS = auto()  # an object whose values are all strings
    PORT_RANGE = auto()
    WEBHOOKS = auto()


DEFAULT_PORT_PARAM = "--port"

# The sections of the admin's form in order: heading, introduction, and whether it is collapsed while none
# of its fields is used.
SECTIONS: list[tuple[str | None, str, bool]] = [
    (None, "", False),
    ("What runs", "", False),
    ("When it runs", "", False),
    (
        "Port range",
        "One process per port, each started and stopped on its own. Leave the ports empty for one process.",
        True,
    ),
    ("Display and terminal", "", True),
    ("Logs", "", True),
    ("Webhooks", "", True),
]


@dataclass(frozen=True)
class ProgramField:
    """One field of a program, as requests, documents and the admin's form need it."""

    name: str
    kind: Kind
    description: str  # in the OpenAPI document
    example: Any
    default: Any = None  # None: no default; documents omit the field while it is not set
    section: str | None = None  # of the admin's form
    help_text: str | None = None  # in the admin's form; None: the description
    limits: tuple[int, int] | None = None  # of an integer, inclusive
    max_length: int | None = None  # of a text; checked before the model's rules
    choices: tuple[str, ...] = ()
    nullable: bool = False  # null clears the field
    restarts: bool = True  # a change restarts a running program
    temporary: bool = True  # temporary programs have the field too
    read_only: bool = False  # derived from other fields; ignored in requests
    columns: tuple[str, ...] = ()  # the model's fields, if their name is another

    @property
    def is_always_shown(self) -> bool:
        """Return whether documents have the field even if it was never set."""
        is_effective_path = self.name in ("stdout_logfile", "stderr_logfile")
        return self.kind is Kind.REQUIRED_TEXT or self.default is not None or is_effective_path

    @property
    def model_columns(self) -> tuple[str, ...]:
        """Return the names of the model's fields that store the value."""
        return () if self.read_only else self.columns or (self.name,)


# Documents list the fields in this order.
PROGRAM_FIELDS: tuple[ProgramField, ...] = (
    ProgramField(
        "name",
        Kind.REQUIRED_TEXT,
        "Unique. Any text without quotes and control characters.",
        example="web",
        help_text="Any text without quotes and control characters.",
        max_length=rules.NAME_LENGTH,  # a change restarts it: the default logs have the name in their path
    ),
    ProgramField(
        "description",
        Kind.TEXT,
        "",
        example="Static site",
        default="",
        max_length=rules.DESCRIPTION_LENGTH,
        restarts=False,
        temporary=False,
    ),
    ProgramField(
        "enabled",
        Kind.BOOLEAN,
        "Registered with supervisord; otherwise it can't be started.",
        example=True,
        default=True,
        section="When it runs",
        restarts=False,
        temporary=False,
    ),
    ProgramField(
        "command",
        Kind.REQUIRED_TEXT,
        "Split into arguments as a shell would, but run without one: quotes must be balanced.",
        example="python3 -m http.server 9000",
        section="What runs",
        help_text="Split into arguments as a shell would, but run without one.",
    ),
    ProgramField(
        "boot",
        Kind.BOOLEAN,
        "Started when the daemon starts.",
        example=True,
        default=False,
        section="When it runs",
        restarts=False,
        temporary=False,
    ),
    ProgramField(
        "delay_seconds",
        Kind.INTEGER,
        "Seconds that pass before the command is run, at every start.",
        example=5,
        default=0,
        section="When it runs",
        limits=rules.DELAY_SECONDS,
        restarts=False,
    ),
    ProgramField(
        "stop_grace_seconds",
        Kind.INTEGER,
        "Seconds from SIGTERM to SIGKILL when it is stopped. 0: SIGKILL at once.",
        example=10,
        default=10,
        section="When it runs",
        limits=rules.STOP_GRACE_SECONDS,
        restarts=False,
    ),
    ProgramField(
        "autorestart",
        Kind.AUTORESTART,
        "",
        example="unexpected",
        default="unexpected",
        section="When it runs",
        choices=rules.AUTORESTART,
        restarts=False,
    ),
    ProgramField(
        "user",
        Kind.REQUIRED_TEXT,
        "The system user that it runs as; it must exist.",
        example="www-data",
        section="What runs",
        help_text="The system user that it runs as.",
    ),
    ProgramField(
        "environment",
        Kind.STRINGS,
        "Variables by name. A name has letters, digits and _, at most 128, and no digit first.",
        example={"SITE": "a"},
        default={},
        section="What runs",
        help_text='Variables, as JSON: {"NODE_ENV": "production"}',
    ),
    ProgramField(
        "directory",
        Kind.TEXT,
        "The working directory: absolute, and it must exist. Empty or null: the user's home.",
        example="/var/www",
        section="What runs",
        help_text="Absolute. Empty: the user's home.",
        nullable=True,
    ),
    ProgramField(
        "priority",
        Kind.INTEGER,
        "Lower starts first.",
        example=10,
        default=rules.PRIORITY[1],
        section="When it runs",
        limits=rules.PRIORITY,
        restarts=False,
    ),
    ProgramField(
        "stdout_logfile",
        Kind.TEXT,
        "Absolute. Empty: a file in the state folder. A port range has one file per instance.",
        example="/var/log/web/out.log",
        section="Logs",
        help_text="Absolute. Empty: in the state folder.",
    ),
    ProgramField(
        "stderr_logfile",
        Kind.TEXT,
        "Absolute. Empty: a file in the state folder. A port range has one file per instance.",
        example="/var/log/web/err.log",
        section="Logs",
        help_text="Absolute. Empty: in the state folder.",
    ),
    ProgramField("logs_enabled", Kind.BOOLEAN, "", example=True, default=True, section="Logs"),
    ProgramField(
        "log_max_bytes",
        Kind.INTEGER,
        "A log is rotated at this size. 0: never.",
        example=5242880,
        default=5 * 1024 * 1024,
        section="Logs",
        limits=rules.LOG_MAX_BYTES,
    ),
    ProgramField(
        "log_backups",
        Kind.INTEGER,
        "Rotated files to keep.",
        example=2,
        default=2,
        section="Logs",
        limits=rules.LOG_BACKUPS,
    ),
    ProgramField(
        "hoody_kit",
        Kind.BOOLEAN,
        "Whether `directory` lies below the root of the kits.",
        example=False,
        default=False,
        restarts=False,
        temporary=False,
        read_only=True,
    ),
    ProgramField(
        "lazy_load",
        Kind.BOOLEAN,
        "Instances are only started on demand. Not together with `boot`.",
        example=False,
        default=False,
        section="Port range",
        help_text="Its instances are started on demand only.",
        restarts=False,
        temporary=False,
    ),
    ProgramField(
        "display",
        Kind.TEXT,
        'X display: "1" or ":1".',
        example=":1",
        section="Display and terminal",
        nullable=True,
    ),
    ProgramField(
        "terminal_id",
        Kind.INTEGER,
        "Run in a terminal session with this number, which must be unique. Not together with `port_range`.",
        example=4,
        section="Display and terminal",
        help_text="Run it in a terminal session of this number.",
        limits=rules.PORTS,
        nullable=True,
    ),
    ProgramField(
        "terminal_shell",
        Kind.CHOICE,
        "The shell of the terminal session, which must be installed. It loads its start-up files before the "
        "command. `tmux` makes a session that people can attach to.",
        example="bash",
        section="Display and terminal",
        help_text="Loads its start-up files before the command; tmux: a session that people can attach to.",
        choices=SHELLS,
        nullable=True,
    ),
    ProgramField(
        "terminal_interactive",
        Kind.BOOLEAN,
        "Whether the shell of the terminal session stays after the command. Null: depends on the command.",
        example=False,
        section="Display and terminal",
        help_text="Yes: the shell stays when the command has ended. Unknown: the command decides.",
        nullable=True,
    ),
    ProgramField(
        "ready_port",
        Kind.INTEGER,
        "Ready when 127.0.0.1 accepts connections on this port. Not together with `port_range`.",
        example=9000,
        section="When it runs",
        help_text="It is ready when 127.0.0.1 accepts connections on this port.",
        limits=rules.PORTS,
        nullable=True,
        restarts=False,
        temporary=False,
    ),
    ProgramField(
        "webhooks",
        Kind.WEBHOOKS,
        "Where state changes are delivered. An edit merges the object by key.",
        example={"urls": ["https://example.com/hook"], "events": "*"},
        section="Webhooks",
        help_text='Whom to tell of state changes: {"urls": ["https://example.com/hook"], "events": "*"}',
        nullable=True,
        restarts=False,
        temporary=False,
    ),
    ProgramField(
        "port_range",
        Kind.PORT_RANGE,
        "One process runs per port: at most 1000 ports, none of them in the range of another program.",
        example={"start": 8000, "end": 8099},
        section="Port range",
        help_text="One process is run per port.",
        nullable=True,
        temporary=False,
        columns=("port_start", "port_end"),
    ),
    ProgramField(
        "port_param",
        Kind.TEXT,
        "The option that passes the port at the end of the command of a port range (`--port` if not given), "
        "unless the command contains `{port}`. Without `port_range` only `--port` is accepted, and ignored.",
        example="--port",
        section="Port range",
        help_text=(
            "How the port is handed over at the end of the command (--port if empty), "
            "unless the command says {port}."
        ),
        nullable=True,
        temporary=False,
    ),
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
    elif field.default is not None:
        options["default"] = field.default
    return options
