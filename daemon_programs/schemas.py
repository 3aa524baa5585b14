"""What each operation is, for OpenAPI: the decorators of the views. Nothing here runs when a request is
served."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema

from daemon_programs import (
    examples,
    rules,
    strict_schemas,  # noqa: F401  (registered by being imported)
)
from daemon_programs.answers import (
    STATUS_ANSWER,
    AddAnswer,
    ListAnswer,
    LogAnswer,
    ProgramAnswer,
    RemoveAnswer,
    RestartAnswer,
    StartAnswer,
    StatusesAnswer,
    Success,
)
from daemon_programs.serializers import (
    NoFieldsSerializer,
    ProgramSerializer,
    RestartSerializer,
    StartSerializer,
    StopSerializer,
)

_PROGRAMS, _STATUS, _LOGS = ["programs"], ["status"], ["logs"]


def query(name: str, type: Any, description: str, **options: Any) -> OpenApiParameter:
    return OpenApiParameter(name, type, OpenApiParameter.QUERY, description=description, **options)


_ID_SCHEMA = {"type": "integer", "format": "int64", "minimum": 1}
ID = OpenApiParameter("id", _ID_SCHEMA, OpenApiParameter.PATH, description="The program's id.")
_PORT_SCHEMA = {"type": "integer", "minimum": rules.PORTS[0], "maximum": rules.PORTS[1]}
_BOOLEAN_SCHEMA = {"type": "string", "pattern": "^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])$"}
PORT = query("port", _PORT_SCHEMA, "The instance of a port range.")
LOG_QUERY = [
    query("type", {"type": "string", "enum": ["stdout", "stderr"], "default": "stdout"}, "Which stream."),
    query(
        "lines", {"type": "integer", "minimum": 1, "maximum": 10000, "default": 100}, "At most so many lines."
    ),
]

list_programs = extend_schema(
    tags=_PROGRAMS,
    operation_id="listPrograms",
    summary="List programs",
    description="In id order. The filters are combined with AND.",
    parameters=[
        query("enabled", _BOOLEAN_SCHEMA, "Registered with supervisord."),
        query("boot", _BOOLEAN_SCHEMA, "Started when the daemon starts."),
        query("lazy_load", _BOOLEAN_SCHEMA, "Instances started on demand only."),
        query("hoody_kit", _BOOLEAN_SCHEMA, "Those whose directory lies below the kits' root."),
        query("name", {"type": "string", "pattern": r"^[^\u0000]*$"}, "Exactly this name."),
        query("port", _PORT_SCHEMA, "Those whose port range has this port."),
        query("port_from", _PORT_SCHEMA, "With `port_to`: those whose range overlaps this one."),
        query("port_to", _PORT_SCHEMA, "With `port_from`."),
        query("include_status", _BOOLEAN_SCHEMA, "Add `status`."),
        query("include_stats", _BOOLEAN_SCHEMA, "Add `status` and `stats`."),
    ],
    responses=ListAnswer,
    examples=examples.LIST_PROGRAMS,
)
retrieve_program = extend_schema(
    tags=_PROGRAMS,
    operation_id="getProgram",
    summary="Get a program",
    description="Its configuration; `GET status/{id}` tells what runs.",
    parameters=[ID],
    responses=ProgramAnswer,
    examples=examples.PROGRAM,
)
add_program = extend_schema(
    tags=_PROGRAMS,
    operation_id="addProgram",
    summary="Add a program",
    description="Registered with supervisord if `enabled`, and started at once if `boot`.",
    request=ProgramSerializer,
    responses=AddAnswer,
    examples=examples.ADD_PROGRAM,
)
edit_program = extend_schema(
    tags=_PROGRAMS,
    operation_id="editProgram",
    summary="Edit a program",
    description=(
        "What is left out keeps its value; `environment` and `port_range` replace the whole value; null "
        "clears. What runs is restarted, once, only if what runs has changed."
    ),
    parameters=[ID],
    request=ProgramSerializer(partial=True),
    responses=ProgramAnswer,
    examples=examples.EDIT_PROGRAM,
)
remove_program = extend_schema(
    tags=_PROGRAMS,
    operation_id="removeProgram",
    summary="Remove a program",
    description="Stopped first, then forgotten. Its log files stay.",
    parameters=[ID],
    request=NoFieldsSerializer,
    responses=RemoveAnswer,
    examples=examples.REMOVE_PROGRAM,
)
reset_programs = extend_schema(
    tags=_PROGRAMS,
    operation_id="resetPrograms",
    summary="Reset the programs",
    description=(
        "Stops and withdraws every program, then loads those of `programs.default.json`. The replaced "
        "ones are kept in a dated file of the state folder, which `manage.py import_programs` reads."
    ),
    request=NoFieldsSerializer,
    responses=Success,
    examples=examples.RESET_PROGRAMS,
)
enable_program = extend_schema(
    tags=_PROGRAMS,
    operation_id="enableProgram",
    summary="Enable a program",
    description="Registered with supervisord; started only if it has `boot`.",
    parameters=[ID],
    request=NoFieldsSerializer,
    responses=ProgramAnswer,
    examples=examples.ENABLE_PROGRAM,
)
disable_program = extend_schema(
    tags=_PROGRAMS,
    operation_id="disableProgram",
    summary="Disable a program",
    description="Stopped and withdrawn from supervisord.",
    parameters=[ID],
    request=NoFieldsSerializer,
    responses=ProgramAnswer,
    examples=examples.DISABLE_PROGRAM,
)
start_program = extend_schema(
    tags=_PROGRAMS,
    operation_id="startProgram",
    summary="Start a program",
    description="Of a port range, the instance of a `port`, or with `all` every instance.",
    parameters=[ID],
    request=StartSerializer,
    responses=StartAnswer,
    examples=examples.START_PROGRAM,
)
stop_program = extend_schema(
    tags=_PROGRAMS,
    operation_id="stopProgram",
    summary="Stop a program",
    description="Its whole process tree; answers when it has ended. Stopping what is stopped is a success.",
    parameters=[ID],
    request=StopSerializer,
    responses=Success,
    examples=examples.STOP_PROGRAM,
)
restart_program = extend_schema(
    tags=_PROGRAMS,
    operation_id="restartProgram",
    summary="Restart a program",
    description="Stop and start as one: never two processes at once, never a lost start. While the old "
    "process still ends, further restarts join the one under way.",
    parameters=[ID],
    request=RestartSerializer,
    responses=RestartAnswer,
    examples=examples.RESTART_PROGRAM,
)
program_logs = extend_schema(
    tags=_LOGS,
    operation_id="getProgramLogs",
    summary="Read a program's log",
    description="The last lines. A log that does not exist yet is empty.",
    parameters=[ID, *LOG_QUERY, PORT],
    responses=LogAnswer,
    examples=examples.LOGS,
)
list_statuses = extend_schema(
    tags=_STATUS,
    operation_id="listStatuses",
    summary="List statuses",
    description="Of all programs, in id order. A port range is `running` while any of its instances is.",
    responses=StatusesAnswer,
    examples=examples.LIST_STATUSES,
)
retrieve_status = extend_schema(
    tags=_STATUS,
    operation_id="getStatus",
    summary="Get a status",
    description="`last_run` tells how the last run ended, unless it was stopped on request.",
    parameters=[ID, PORT],
    responses=STATUS_ANSWER,
    examples=examples.STATUS,
)
