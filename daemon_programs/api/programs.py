"""The routes of programs, statuses and logs (contract, section 2). One verb each; what they do is
in ``verbs`` and ``runtime``, what can go wrong in ``hoody_site.api.errors``."""

from rest_framework.request import Request
from rest_framework.response import Response

from daemon_programs.api.base import (
    ADD,
    CHANGE,
    OPERATE,
    REMOVE,
    RESET,
    VIEW,
    DaemonViewSet,
    checked,
    port_of,
)
from daemon_programs.api.logs import log_answer
from daemon_programs.api.openapi import operations as shapes
from daemon_programs.api.openapi import streams as stream_schemas
from daemon_programs.api.status import add_statuses
from daemon_programs.logs import stream
from daemon_programs.maintenance import program_sets
from daemon_programs.models import Program
from daemon_programs.programs import services
from daemon_programs.programs.filters import filter_programs
from daemon_programs.serializers.program import ProgramSerializer
from daemon_programs.serializers.queries import LogQuerySerializer, ProgramFilterSerializer
from daemon_programs.serializers.representation import program_document
from daemon_programs.serializers.streams import LogStreamQuerySerializer, stream_query
from daemon_programs.serializers.verbs import (
    NoFieldsSerializer,
    RestartSerializer,
    StartSerializer,
    StopSerializer,
)
from daemon_programs.streams.answer import StreamResponse, stream_answer


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
        return _program_answer(services.get_program(id))

    @shapes.add_program
    def add(self, request: Request) -> Response:
        program = services.add_program(checked(ProgramSerializer, request.data))
        return Response({"success": True, "id": program.pk, "program": program_document(program)})

    @shapes.edit_program
    def edit(self, request: Request, id: str) -> Response:
        services.get_program(id)  # 404 comes before 400
        return _program_answer(
            services.edit_program(id, checked(ProgramSerializer, request.data, partial=True))
        )

    @shapes.remove_program
    def remove(self, request: Request, id: str) -> Response:
        services.get_program(id)
        checked(NoFieldsSerializer, request.data)
        return Response({"success": True, "id": services.remove_program(id)})

    @shapes.reset_programs
    def reset(self, request: Request) -> Response:
        checked(NoFieldsSerializer, request.data)
        program_sets.reset()
        return Response({"success": True})

    @shapes.enable_program
    def enable(self, request: Request, id: str) -> Response:
        services.get_program(id)
        checked(NoFieldsSerializer, request.data)
        return _program_answer(services.set_enabled(id, True))

    @shapes.disable_program
    def disable(self, request: Request, id: str) -> Response:
        services.get_program(id)
        checked(NoFieldsSerializer, request.data)
        return _program_answer(services.set_enabled(id, False))

    @shapes.start_program
    def start(self, request: Request, id: str) -> Response:
        program = services.get_program(id)
        body = checked(StartSerializer, request.data)
        return Response({"success": True, **services.start_program(program, every=body.pop("all"), **body)})

    @shapes.stop_program
    def stop(self, request: Request, id: str) -> Response:
        program = services.get_program(id)
        body = checked(StopSerializer, request.data)
        services.stop_program(program, every=body.pop("all"), **body)
        return Response({"success": True})

    @shapes.restart_program
    def restart(self, request: Request, id: str) -> Response:
        program = services.get_program(id)
        body = checked(RestartSerializer, request.data)
        return Response({"success": True, **services.restart_program(program, every=body.pop("all"), **body)})

    @shapes.program_logs
    def logs(self, request: Request, id: str) -> Response:
        program = services.get_program(id)
        query = checked(LogQuerySerializer, request.query_params)
        port = port_of(program, request)
        if program.has_ports and port is None:
            port = services.require_port(program, port)
        return log_answer(program, port, query)

    @stream_schemas.program_log_stream
    def log_stream(self, request: Request, id: str) -> StreamResponse:
        program = services.get_program(id)
        query = checked(LogStreamQuerySerializer, stream_query(request))
        port = port_of(program, request)
        if program.has_ports and port is None:
            port = services.require_port(program, port)
        return stream_answer(request, VIEW, stream.of_program(program, port, query))


def _program_answer(program: Program) -> Response:
    return Response({"success": True, "program": program_document(program)})
