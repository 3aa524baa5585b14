"""What surrounds a process: variables from files, umask, priority, limits, output; its labels and its set."""

from daemon_programs.models.fields.field import Kind, ProgramField
from daemon_programs.validators import world

_PATH = r"-?/[^\u0000-\u001f\u007f-\u009f]*[^/\u0000-\u001f\u007f-\u009f]"
_PATHS = {
    "oneOf": [
        {"type": "string", "pattern": f"^({_PATH})?$"},
        {
            "type": "array",
            "maxItems": world.MAX_ENV_FILES,
            "items": {"type": "string", "pattern": f"^{_PATH}$"},
        },
    ]
}
_LIMIT = {
    "oneOf": [
        {"type": "integer", "minimum": 0, "maximum": world.HIGHEST_LIMIT},
        {"type": "string", "enum": [world.UNLIMITED]},
    ]
}
_LABEL_VALUE = {
    "type": "string",
    "maxLength": 63,
    "pattern": r"^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?$",
}

WORLD_FIELDS: tuple[ProgramField, ...] = (
    ProgramField(
        "env_file",
        Kind.PATHS,
        "A file of variables, or a list of them, of which later ones win: absolute, read at each start with "
        "the rights of `user`. `environment` wins. Without the file the start fails, unless `-` precedes "
        "its path.",
        example=["/etc/web.env", "-/etc/web.local.env"],
        section="Environment and limits",
        help_text="Files of variables, one absolute path per line. After a - the file may be missing.",
        nullable=True,
        hides_default=True,
        schema=_PATHS,
    ),
    ProgramField(
        "umask",
        Kind.TEXT,
        "Three octal digits: the permissions that files which it makes don't get.",
        example="077",
        default="022",
        section="Environment and limits",
        hides_default=True,
    ),
    ProgramField(
        "nice",
        Kind.INTEGER,
        "Its share of the processors: higher is less. Negative only if the daemon runs as root. "
        "0: as the daemon itself.",
        example=5,
        default=0,
        section="Environment and limits",
        limits=world.NICE,
        hides_default=True,
    ),
    ProgramField(
        "limits",
        Kind.JSON,
        f"Limits on its resources (`setrlimit`), in bytes, seconds or numbers: {', '.join(world.LIMITS)}. "
        "Each is a number or `unlimited`.",
        example={"nofile": 4096, "core": "unlimited"},
        default={},
        section="Environment and limits",
        help_text="In bytes, seconds or numbers, or unlimited.",
        nullable=True,
        hides_default=True,
        schema={
            "type": "object",
            "properties": dict.fromkeys(world.LIMITS, _LIMIT),
            "additionalProperties": False,
        },
    ),
    ProgramField(
        "redirect_stderr",
        Kind.BOOLEAN,
        "Standard error goes to the log of standard output.",
        example=True,
        default=False,
        section="Logs",
        hides_default=True,
    ),
    ProgramField(
        "log_timestamps",
        Kind.BOOLEAN,
        "Each line of the logs begins with its time in UTC. Not together with `terminal_id`.",
        example=True,
        default=False,
        section="Logs",
        hides_default=True,
    ),
    ProgramField(
        "labels",
        Kind.JSON,
        "Short texts by key, to find programs by: at most 32. Keys and values are as those of Kubernetes.",
        example={"team": "web"},
        default={},
        section="Labels",
        help_text="Short texts by name, to find programs by.",
        nullable=True,
        restarts=False,
        temporary=False,
        hides_default=True,
        schema={"type": "object", "maxProperties": 32, "additionalProperties": _LABEL_VALUE},
    ),
    ProgramField(
        "set",
        Kind.TEXT,
        "The set that it was applied with: `programs/apply` with `prune` removes what is no longer in it.",
        example="shop",
        section="Labels",
        help_text="The set that it was applied with, by name.",
        nullable=True,
        restarts=False,
        temporary=False,
    ),
)
