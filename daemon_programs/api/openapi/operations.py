"""Describe the operations on programs for the OpenAPI document; the views use these as decorators."""

from drf_spectacular.utils import extend_schema

from daemon_programs.api.openapi import (
    examples,
    extensions,
)
from daemon_programs.api.openapi.once import KEY
from daemon_programs.api.openapi.parameters import (
    BOOLEAN_SCHEMA,
    ID,
    INSTANCE,
    LOG_QUERY,
    PORT,
    PORT_SCHEMA,
    TEXT,
    list_query,
    query,
)
from daemon_programs.api.openapi.responses import (
    STATUS_ANSWER,
    AddAnswer,
    BatchAnswer,
    ListAnswer,
    LogAnswer,
    ProgramAnswer,
    RemoveAnswer,
    RestartAnswer,
    StartAnswer,
    StatusesAnswer,
    Success,
)
from daemon_programs.programs.selection import STATES
from daemon_programs.serializers.batch import BatchSerializer
from daemon_programs.serializers.program import ProgramSerializer
from daemon_programs.serializers.queries import LISTED_FIELDS, SORTS
from daemon_programs.serializers.verbs import (
    InputSerializer,
    NoFieldsSerializer,
    ReloadSerializer,
    RestartSerializer,
    SignalSerializer,
    StartSerializer,
    StopSerializer,
)
from daemon_programs.validators import labels

_PROGRAMS, _STATUS, _LOGS = ["programs"], ["status"], ["logs"]


list_programs = extend_schema(
    tags=_PROGRAMS,
    operation_id="listPrograms",
    summary="List programs",
    description=(
        "In id order, unless `sort` is given. The filters are combined with AND. By `cpu` and `memory` "
        "programs that don't run come first, in reverse order last."
    ),
    parameters=[
        query("enabled", BOOLEAN_SCHEMA, "Registered with supervisord."),
        query("boot", BOOLEAN_SCHEMA, "Started when the daemon starts."),
        query("lazy_load", BOOLEAN_SCHEMA, "Instances are only started on demand."),
        query("hoody_kit", BOOLEAN_SCHEMA, "Whether the directory lies below the root of the kits."),
        query("name", {"type": "string", "pattern": TEXT}, "Exactly this name."),
        query(
            "label",
            {
                "type": "array",
                "maxItems": labels.MAX_LABELS,
                "items": {"type": "string", "pattern": extensions.LABEL},
            },
            "Only programs with this label, as `key=value`, or with any label of this `key`. Repeatable: "
            "they must have all of them.",
            explode=True,
        ),
        query("port", PORT_SCHEMA, "Only programs whose port range has this port."),
        query("port_from", PORT_SCHEMA, "With `port_to`: only programs whose range overlaps this range."),
        query("port_to", PORT_SCHEMA, "With `port_from`."),
        query("include_status", BOOLEAN_SCHEMA, "Add `status`."),
        query("include_stats", BOOLEAN_SCHEMA, "Add `status` and `stats`."),
        *list_query(STATES, SORTS, LISTED_FIELDS),
    ],
    responses=ListAnswer,
    examples=examples.LIST_PROGRAMS,
)
retrieve_program = extend_schema(
    tags=_PROGRAMS,
    operation_id="getProgram",
    summary="Get a program",
    description="The configuration of a program. `GET status/{id}` returns its status.",
    parameters=[ID],
    responses=ProgramAnswer,
    examples=examples.PROGRAM,
)
add_program = extend_schema(
    tags=_PROGRAMS,
    operation_id="addProgram",
    summary="Add a program",
    description="Registers the program with supervisord if `enabled`, and starts it at once if `boot`.",
    request=ProgramSerializer,
    responses=AddAnswer,
    examples=examples.ADD_PROGRAM,
)
edit_program = extend_schema(
    tags=_PROGRAMS,
    operation_id="editProgram",
    summary="Edit a program",
    description=(
        "A field that is left out keeps its value. `environment`, `limits`, `labels` and `port_range` "
        "replace the whole value. Null clears a field. A running program is restarted, once, only if the "
        "change affects its process."
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
    description="Stops the program, then deletes it. Its log files stay.",
    parameters=[ID],
    request=NoFieldsSerializer,
    responses=RemoveAnswer,
    examples=examples.REMOVE_PROGRAM,
)
batch = extend_schema(
    tags=_PROGRAMS,
    operation_id="batchPrograms",
    summary="Do something with many programs",
    description=(
        "Does the action with each program that `select` chooses, side by side, as its own route would, and "
        "returns what has become of each; of a program with instances it means all. Each part of `select` "
        "narrows the choice. Needs the permission of the action. Nothing is begun if the call returns an "
        "error."
    ),
    parameters=[KEY],
    request=BatchSerializer,
    responses=BatchAnswer,
    examples=examples.BATCH,
)
reset_programs = extend_schema(
    tags=_PROGRAMS,
    operation_id="resetPrograms",
    summary="Reset the programs",
    description=(
        "Stops and withdraws every program, then loads those of `programs.default.json`. The replaced "
        "programs are saved in a dated file in the state folder, which the command `import_programs` reads."
    ),
    request=NoFieldsSerializer,
    responses=Success,
    examples=examples.RESET_PROGRAMS,
)
enable_program = extend_schema(
    tags=_PROGRAMS,
    operation_id="enableProgram",
    summary="Enable a program",
    description="Registers the program with supervisord, and starts it if `boot`.",
    parameters=[ID],
    request=NoFieldsSerializer,
    responses=ProgramAnswer,
    examples=examples.ENABLE_PROGRAM,
)
disable_program = extend_schema(
    tags=_PROGRAMS,
    operation_id="disableProgram",
    summary="Disable a program",
    description="Stops the program and withdraws it from supervisord.",
    parameters=[ID],
    request=NoFieldsSerializer,
    responses=ProgramAnswer,
    examples=examples.DISABLE_PROGRAM,
)
start_program = extend_schema(
    tags=_PROGRAMS,
    operation_id="startProgram",
    summary="Start a program",
    description="Starts a program, or the instance for `port` or `instance`, or with `all` every instance.",
    parameters=[ID],
    request=StartSerializer,
    responses=StartAnswer,
    examples=examples.START_PROGRAM,
)
stop_program = extend_schema(
    tags=_PROGRAMS,
    operation_id="stopProgram",
    summary="Stop a program",
    description=(
        "Stops the whole process tree, and returns when it has ended. Stopping what is stopped is a success."
    ),
    parameters=[ID],
    request=StopSerializer,
    responses=Success,
    examples=examples.STOP_PROGRAM,
)
restart_program = extend_schema(
    tags=_PROGRAMS,
    operation_id="restartProgram",
    summary="Restart a program",
    description=(
        "Stops and starts in one step: two processes never run at once, and no start is lost. While the old "
        "process is ending, further restarts join the one under way. With `rolling` the instances "
        "that run are restarted a few at a time; the roll-out stops at the first that fails."
    ),
    parameters=[ID],
    request=RestartSerializer,
    responses=RestartAnswer,
    examples=examples.RESTART_PROGRAM,
)
signal_program = extend_schema(
    tags=_PROGRAMS,
    operation_id="signalProgram",
    summary="Signal a program",
    description="Refused if nothing runs. What follows from the signal is up to the program.",
    parameters=[ID],
    request=SignalSerializer,
    responses=Success,
    examples=examples.SIGNAL_PROGRAM,
)
reload_program = extend_schema(
    tags=_PROGRAMS,
    operation_id="reloadProgram",
    summary="Reload a program",
    description=(
        "Does what the program's `reload` says: sends a signal, or runs a command and returns when it has "
        "ended. Refused if the program has no `reload` or does not run, or if the command fails."
    ),
    parameters=[ID],
    request=ReloadSerializer,
    responses=Success,
    examples=examples.RELOAD_PROGRAM,
)
write_input = extend_schema(
    tags=_PROGRAMS,
    operation_id="writeProgramInput",
    summary="Write to a program's standard input",
    description=(
        "For programs with `stdin: pipe`. `port` or `instance` is the instance. The call does not wait "
        "for the program to read. It is answered with 503 (`input_full`) if more than 256 KiB would wait; "
        "then nothing was written."
    ),
    parameters=[ID],
    request=InputSerializer,
    responses=Success,
    examples=examples.WRITE_INPUT,
)
program_logs = extend_schema(
    tags=_LOGS,
    operation_id="getProgramLogs",
    summary="Read a program's log",
    description="Returns the last lines. A log that does not exist yet is empty.",
    parameters=[ID, *LOG_QUERY, PORT, INSTANCE],
    responses=LogAnswer,
    examples=examples.LOGS,
)
list_statuses = extend_schema(
    tags=_STATUS,
    operation_id="listStatuses",
    summary="List statuses",
    description=(
        "All programs in id order. A program with instances is `running` while any of them is, and `fatal` "
        "if all of them are."
    ),
    responses=StatusesAnswer,
    examples=examples.LIST_STATUSES,
)
retrieve_status = extend_schema(
    tags=_STATUS,
    operation_id="getStatus",
    summary="Get a status",
    description="`last_run` is how the last run ended, unless it was stopped on request.",
    parameters=[
        ID,
        PORT,
        INSTANCE,
        query(
            "include_stats",
            {**BOOLEAN_SCHEMA, "default": "false"},
            "Add `stats` to instances; a program with one process always has them.",
        ),
    ],
    responses=STATUS_ANSWER,
    examples=examples.STATUS,
)
