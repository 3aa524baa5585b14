"""The routes of programs, statuses and logs (contract, section 2). One verb each; what they do is
in ``verbs`` and ``runtime``, what can go wrong in ``hoody_site.errors``."""

from collections.abc import Sequence
from typing import Any, TypeVar

from rest_framework import serializers, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from daemon_programs import backups, obstacles, readiness, runtime, stats, statuses, verbs
from daemon_programs import schemas as shapes
from daemon_programs.documents import program_document
from daemon_programs.filters import filter_programs
from daemon_programs.logs import tail
from daemon_programs.models import Program, SupervisedProgram
from daemon_programs.serializers import (
    LogQuerySerializer,
    NoFieldsSerializer,
    PortQuerySerializer,
    ProgramFilterSerializer,
    ProgramSerializer,
    RestartSerializer,
    StartSerializer,
    StopSerializer,
)
from daemon_programs.streams import log_stream
from daemon_programs.streams import schemas as stream_schemas
from daemon_programs.streams.answer import StreamResponse, stream_answer
from daemon_programs.streams.queries import LogStreamQuerySerializer, stream_query
from daemon_programs.supervisor.client import State

VIEW = ["daemon_programs.view_program"]
OPERATE = [*VIEW, "daemon_programs.operate_program"]
CHANGE = [*VIEW, "daemon_programs.change_program"]
ADD = [*VIEW, "daemon_programs.add_program"]
REMOVE = [*VIEW, "daemon_programs.delete_program"]

RESET = [*ADD, *CHANGE, *REMOVE]

S = TypeVar("S", bound=serializers.Serializer)


def checked(serializer_class: type[S], data: Any, **options: Any) -> dict[str, Any]:
    """What was sent, checked and converted; raises a ValidationError."""
    serializer = serializer_class(data=data, **options)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


class DaemonViewSet(viewsets.ViewSet):
    """Of the contract's routes: GET and POST only."""

    http_method_names = ["get", "post"]
    permissions_of: dict[str, list[str]]


class ProgramViewSet(DaemonViewSet):
    """Programs: the list, one, and every verb."""

    permissions_of = {
        "list": VIEW,
        "retrieve": VIEW,
        "logs": VIEW,
        "log_stream": VIEW,
        "add": ADD,
        "edit": CHANGE,
        "enable": CHANGE,
        "disable": CHANGE,
        "remove": REMOVE,
        "reset": RESET,
        "start": OPERATE,
        "stop": OPERATE,
        "restart": OPERATE,
    }

    @shapes.list_programs
    def list(self, request: Request) -> Response:
        filters = checked(ProgramFilterSerializer, request.query_params)
        programs = filter_programs(filters)
        documents = [program_document(program) for program in programs]
        if filters.get("include_status") or filters.get("include_stats"):
            add_statuses(programs, documents, with_stats=filters.get("include_stats", False))
        return Response({"programs": documents})

    @shapes.retrieve_program
    def retrieve(self, request: Request, id: str) -> Response:
        return _program_answer(verbs.get_program(id))

    @shapes.add_program
    def add(self, request: Request) -> Response:
        program = verbs.add_program(checked(ProgramSerializer, request.data))
        return Response({"success": True, "id": program.pk, "program": program_document(program)})

    @shapes.edit_program
    def edit(self, request: Request, id: str) -> Response:
        verbs.get_program(id)  # 404 comes before 400
        return _program_answer(verbs.edit_program(id, checked(ProgramSerializer, request.data, partial=True)))

    @shapes.remove_program
    def remove(self, request: Request, id: str) -> Response:
        verbs.get_program(id)
        checked(NoFieldsSerializer, request.data)
        return Response({"success": True, "id": verbs.remove_program(id)})

    @shapes.reset_programs
    def reset(self, request: Request) -> Response:
        checked(NoFieldsSerializer, request.data)
        backups.reset()
        return Response({"success": True})

    @shapes.enable_program
    def enable(self, request: Request, id: str) -> Response:
        verbs.get_program(id)
        checked(NoFieldsSerializer, request.data)
        return _program_answer(verbs.set_enabled(id, True))

    @shapes.disable_program
    def disable(self, request: Request, id: str) -> Response:
        verbs.get_program(id)
        checked(NoFieldsSerializer, request.data)
        return _program_answer(verbs.set_enabled(id, False))

    @shapes.start_program
    def start(self, request: Request, id: str) -> Response:
        program = verbs.get_program(id)
        body = checked(StartSerializer, request.data)
        return Response({"success": True, **verbs.start_program(program, every=body.pop("all"), **body)})

    @shapes.stop_program
    def stop(self, request: Request, id: str) -> Response:
        program = verbs.get_program(id)
        body = checked(StopSerializer, request.data)
        verbs.stop_program(program, every=body.pop("all"), **body)
        return Response({"success": True})

    @shapes.restart_program
    def restart(self, request: Request, id: str) -> Response:
        program = verbs.get_program(id)
        body = checked(RestartSerializer, request.data)
        return Response({"success": True, **verbs.restart_program(program, every=body.pop("all"), **body)})

    @shapes.program_logs
    def logs(self, request: Request, id: str) -> Response:
        program = verbs.get_program(id)
        query = checked(LogQuerySerializer, request.query_params)
        port = _port_of(program, request)
        if program.has_ports and port is None:
            port = verbs.require_port(program, port)
        return log_answer(program, port, query)

    @stream_schemas.program_log_stream
    def log_stream(self, request: Request, id: str) -> StreamResponse:
        program = verbs.get_program(id)
        query = checked(LogStreamQuerySerializer, stream_query(request))
        port = _port_of(program, request)
        if program.has_ports and port is None:
            port = verbs.require_port(program, port)
        return stream_answer(request, VIEW, log_stream.of_program(program, port, query))


class StatusViewSet(DaemonViewSet):
    """Statuses, of all programs and of one."""

    permissions_of = {"list": VIEW, "retrieve": VIEW}

    @shapes.list_statuses
    def list(self, request: Request) -> Response:
        states = runtime.states()
        return Response(
            {
                "success": True,
                "statuses": [
                    {
                        "id": program.pk,
                        "name": program.name,
                        "enabled": program.enabled,
                        "status": statuses.program_status(program, states.get(program.group)),
                    }
                    for program in Program.objects.order_by("id").only(
                        "id", "name", "enabled", "port_start", "port_end"
                    )
                ],
            }
        )

    @shapes.retrieve_status
    def retrieve(self, request: Request, id: str) -> Response:
        program = verbs.get_program(id)
        port = _port_of(program, request)
        return Response({"success": True, **_status_answer(program, port)})


def add_statuses(
    programs: Sequence[Program], documents: Sequence[dict[str, Any]], *, with_stats: bool
) -> None:
    """Add what ``GET programs`` shows of what runs: one call, and at most one sweep."""
    states = runtime.states()
    measured = stats.measure(states) if with_stats else {}
    for program, document in zip(programs, documents, strict=True):
        state = states.get(program.group)
        document["status"] = statuses.listed_status(program, state)
        if program.has_ports:
            stats.add_to_instances(program, document["status"]["instances"], measured)
        elif own := measured.get((program.group, program.group)):
            document["stats"] = own


def log_answer(program: SupervisedProgram, port: int | None, query: dict[str, Any]) -> Response:
    """The last lines of a log, as a ``LogQuerySerializer`` has them asked for."""
    path = program.log_path(query["type"], port)
    lines = tail(path, query["lines"], program.user)
    return Response(
        {
            "success": True,
            "logs": "\n".join(lines),
            "type": query["type"],
            "lines": len(lines),
            "log_file": path,
        }
    )


def _program_answer(program: Program) -> Response:
    return Response({"success": True, "program": program_document(program)})


def _port_of(program: Program, request: Request) -> int | None:
    """The instance that a query names, if it names one."""
    port: int | None = checked(PortQuerySerializer, request.query_params).get("port")
    if port is not None:
        verbs.require_port(program, port)
    return port


def _status_answer(program: Program, port: int | None) -> dict[str, Any]:
    state = runtime.state_of(program)
    if port is not None:
        process = statuses.process_state(state, str(port))
        instance = statuses.instance(program, port, process)
        stats.add_to_instances(program, [instance], stats.measure(_only(program, state, str(port))))
        return {"instance": instance, **_last_run(process)}
    if program.has_ports:
        instances = statuses.list_instances(program, state)
        return {
            "instances": instances,
            "running_count": statuses.count_running(instances),
            "total_count": len(program.ports),
            **({} if instances else _problem(program)),
        }
    process = statuses.process_state(state, program.group)
    measured = stats.measure(_only(program, state, program.group)).get((program.group, program.group))
    status = statuses.program_status(program, state)
    if program.ready_port is not None:
        status["ready"] = status["status"] == "running" and readiness.accepts(program.ready_port)
    if program.attach_command and "pid" in status:
        status["attach"] = program.attach_command
    return {
        "status": status,
        **({"stats": measured} if measured else {}),
        **_last_run(process),
        **({} if "pid" in status else _problem(program)),
    }


def _problem(program: Program) -> dict[str, str]:
    """What is in the way of a program that does not run."""
    problem = obstacles.obstacle(program)
    return {"problem": problem} if problem else {}


def _only(program: Program, state: State | None, name: str) -> dict[str, State]:
    """The states that the stats of a single process are measured of."""
    return {program.group: {"processes": {name: statuses.process_state(state, name)}}}


def _last_run(process: dict[str, Any]) -> dict[str, Any]:
    ended = statuses.last_run(process)
    return {"last_run": ended} if ended else {}
