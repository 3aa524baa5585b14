"""When a program is ready, whether it is healthy, and what it waits for."""

from typing import Any

from daemon_programs.models.fields.field import Kind, ProgramField
from daemon_programs.supervisor.probes import CONDITIONS, NONE, RESTART, Probe
from daemon_programs.validators import dependencies, probes, rules


def _integer(description: str, low: int, high: int, default: int) -> dict[str, Any]:
    return {
        "type": "integer",
        "minimum": low,
        "maximum": high,
        "default": default,
        "description": description,
    }


_DEFAULT = Probe("port", 0)
_STATUS = {"status": _integer("The expected status.", 100, 599, _DEFAULT.status)}
_LOOKS = {
    "interval": _integer("Seconds between two looks.", 1, 3600, _DEFAULT.interval),
    "timeout": _integer("Seconds until a look has failed.", 1, 300, _DEFAULT.timeout),
    "after_seconds": _integer("Seconds from the start to the first look.", 0, 3600, _DEFAULT.after_seconds),
    "successes": _integer("Successful looks in a row that it takes.", 1, 100, _DEFAULT.successes),
}
_FAILURES = {
    "failures": _integer("Failed looks in a row that it takes.", 1, 100, _DEFAULT.failures),
    "grace_seconds": _integer(
        "Failures don't count so long after the start, unless a look has succeeded.",
        0,
        86400,
        _DEFAULT.grace_seconds,
    ),
    "action": {"type": "string", "enum": [RESTART, NONE], "default": RESTART},
}
_PORT = {
    "oneOf": [{"type": "integer", "minimum": 1, "maximum": 65535}, {"type": "string", "enum": ["{port}"]}],
    "description": "127.0.0.1 accepts connections on the port.",
}
_HTTP = {
    "type": "string",
    "pattern": "^http://[!-~]+$",
    "maxLength": probes.TEXT_LENGTH,
    "description": "The URL answers with `status`. Redirects are not followed.",
}
_COMMAND = {
    "type": "string",
    "minLength": 1,
    "maxLength": probes.TEXT_LENGTH,
    "description": "The command, run as the program's user, ends with exit code 0.",
}
_LOG = {
    "type": "string",
    "minLength": 1,
    "maxLength": probes.PATTERN_LENGTH,
    "description": "A line of its output matches the regular expression.",
}
_NOTIFY = {"type": "boolean", "enum": [True], "description": "The program tells (sd_notify)."}


def _one_of(*kinds: tuple[str, dict[str, Any], dict[str, Any]]) -> dict[str, Any]:
    """Return the schema of an object that has one of some keys, each with others of its own."""
    return {
        "oneOf": [
            {
                "type": "object",
                "title": kind,
                "additionalProperties": False,
                "required": [kind],
                "properties": {kind: schema, **others},
            }
            for kind, schema, others in kinds
        ]
    }


_READY_SCHEMA = _one_of(
    ("port", _PORT, _LOOKS),
    ("http", _HTTP, {**_STATUS, **_LOOKS}),
    ("command", _COMMAND, _LOOKS),
    ("log", _LOG, {}),
    ("notify", _NOTIFY, {}),
)
_HEALTH_SCHEMA = _one_of(
    ("port", _PORT, {**_LOOKS, **_FAILURES}),
    ("http", _HTTP, {**_STATUS, **_LOOKS, **_FAILURES}),
    ("command", _COMMAND, {**_LOOKS, **_FAILURES}),
    ("notify", _NOTIFY, {"interval": _LOOKS["interval"], **_FAILURES}),
)
_DEPENDENCIES_SCHEMA = {
    "type": "array",
    "maxItems": dependencies.MOST_DEPENDENCIES,
    "items": {
        "type": "object",
        "additionalProperties": False,
        "required": ["program"],
        "properties": {
            "program": {"type": "string", "description": "The name of a program."},
            "condition": {"type": "string", "enum": list(CONDITIONS), "default": CONDITIONS[0]},
        },
    },
}

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
    ProgramField(
        "ready",
        Kind.JSON,
        "Ready when one of these holds: `port`, `http`, `command`, `log` or `notify`. In a port range, "
        "`{port}` stands for the port of the instance.",
        example={"http": "http://127.0.0.1:9000/healthz", "interval": 2},
        section="Readiness",
        help_text="How it is found to be ready.",
        nullable=True,
        restarts=False,
        temporary=False,
        hides_default=True,
        schema=_READY_SCHEMA,
    ),
    ProgramField(
        "health",
        Kind.JSON,
        "While it runs, `port`, `http`, `command` or `notify` must hold. If it fails as often in a row as "
        "`failures` says, it is restarted, or with `action` `none` only marked.",
        example={"port": 9000, "failures": 2},
        section="Readiness",
        help_text="How it is found to be healthy while it runs.",
        nullable=True,
        restarts=False,
        temporary=False,
        hides_default=True,
        schema=_HEALTH_SCHEMA,
    ),
    ProgramField(
        "depends_on",
        Kind.JSON,
        "The programs that it waits for at each start, by name: until they are `started` (default), `ready`, "
        "or `completed` with one of their `exit_codes`.",
        example=[{"program": "database", "condition": "ready"}],
        section="Readiness",
        help_text="The programs that it waits for at each start.",
        nullable=True,
        restarts=False,
        temporary=False,
        hides_default=True,
        schema=_DEPENDENCIES_SCHEMA,
    ),
)
