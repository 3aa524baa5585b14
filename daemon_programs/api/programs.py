"""The routes of programs and their logs (docs/contract.md, section 2).

Each method validates the request, calls one service, and returns its result as JSON. The services are in
``programs.services``; ``hoody_site.api.errors`` turns the exceptions that they raise into error responses.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from django.http import HttpResponse
from rest_framework.exceptions import PermissionDenied
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
)
from daemon_programs.api.logs import log_response
from daemon_programs.api.once import once
from daemon_programs.api.openapi import operations as schemas
from daemon_programs.api.openapi import streams as stream_schemas
from daemon_programs.api.openapi.applying import apply_programs
from daemon_programs.api.program_list import list_programs
from daemon_programs.logs import stream
from daemon_programs.maintenance.sets import applying, replacing
from daemon_programs.maintenance.sets.applying import Options
from daemon_programs.maintenance.sets.planning import Action, Plan, Wish
from daemon_programs.models import Program
from daemon_programs.programs import rolling, services, signalling, targets
from daemon_programs.serializers.applying import ApplySerializer
from daemon_programs.serializers.program import ProgramSerializer
from daemon_programs.serializers.queries import InstanceLogQuerySerializer, ProgramFilterSerializer
from daemon_programs.serializers.representation import program_document
from daemon_programs.serializers.streams import InstanceLogStreamQuerySerializer, stream_query
from daemon_programs.serializers.verbs import (
    InputSerializer,
    NoFieldsSerializer,
    ReloadSerializer,
    RestartSerializer,
    SignalSerializer,
    StartSerializer,
    StopSerializer,
)
from daemon_programs.streams.answer import StreamResponse, stream_answer
from daemon_programs.supervisor.instances import Key

_NEEDED_FOR = {Action.CREATE: ADD, Action.CHANGE: CHANGE, Action.REMOVE: REMOVE}


class ProgramViewSet(DaemonViewSet):
    """List, change and operate programs."""

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
        "apply": VIEW,  # and what the plan needs
        "start": OPERATE,
        "stop": OPERATE,
        "restart": OPERATE,
        "signal": OPERATE,
        "reload": OPERATE,
        "write_input": OPERATE,
    }
    query_of = {
        "list": ProgramFilterSerializer,
        "logs": InstanceLogQuerySerializer,
        "log_stream": InstanceLogStreamQuerySerializer,
    }

    @schemas.list_programs
    def list(self, request: Request) -> Response:
        """Return the programs that match the filters, or a page of them, with their statuses if asked for."""
        return Response(list_programs(self.query(request)))

    @schemas.retrieve_program
    def retrieve(self, request: Request, id: str) -> Response:
        """Return the configuration of a program."""
        return _program_response(services.get_program(id))

    @schemas.add_program
    def add(self, request: Request) -> Response:
        """Create a program."""
        program = services.add_program(checked(ProgramSerializer, request.data))
        return Response({"success": True, "id": program.pk, "program": program_document(program)})

    @schemas.edit_program
    def edit(self, request: Request, id: str) -> Response:
        """Change the fields of a program that the body has."""
        services.get_program(id)  # an unknown id is a 404, whatever the body is
        values = checked(ProgramSerializer, request.data, partial=True)
        return _program_response(services.edit_program(id, values))

    @schemas.remove_program
    def remove(self, request: Request, id: str) -> Response:
        """Stop a program and delete it."""
        services.get_program(id)
        checked(NoFieldsSerializer, request.data)
        return Response({"success": True, "id": services.remove_program(id)})

    @schemas.reset_programs
    def reset(self, request: Request) -> Response:
        """Replace all programs by those of ``programs.default.json``."""
        checked(NoFieldsSerializer, request.data)
        replacing.reset()
        return Response({"success": True})

    @apply_programs
    @once
    def apply(self, request: Request) -> Response:
        """Change programs to what a list of them says, or return what that would change."""
        values = checked(ApplySerializer, request.data)
        wish = Wish(*(values.pop(name) for name in ("programs", "set", "prune")))
        options = Options(allow=partial(_check_plan, request, values["wait"]), **values)
        return Response({"success": True, **applying.apply(wish, options)})

    @schemas.enable_program
    def enable(self, request: Request, id: str) -> Response:
        """Register a program with supervisord."""
        services.get_program(id)
        checked(NoFieldsSerializer, request.data)
        return _program_response(services.set_enabled(id, True))

    @schemas.disable_program
    def disable(self, request: Request, id: str) -> Response:
        """Stop a program and withdraw it from supervisord."""
        services.get_program(id)
        checked(NoFieldsSerializer, request.data)
        return _program_response(services.set_enabled(id, False))

    @schemas.start_program
    def start(self, request: Request, id: str) -> Response:
        """Start a program, or one or all of its instances."""
        program = services.get_program(id)
        options = checked(StartSerializer, request.data)
        result = services.start_program(program, all_instances=options.pop("all"), **options)
        return Response({"success": True, **result})

    @schemas.stop_program
    def stop(self, request: Request, id: str) -> Response:
        """Stop a program, or one or all of its instances, and wait for the end."""
        program = services.get_program(id)
        options = checked(StopSerializer, request.data)
        services.stop_program(program, all_instances=options.pop("all"), **options)
        return Response({"success": True})

    @schemas.restart_program
    def restart(self, request: Request, id: str) -> Response:
        """Restart a program, or one or all of its instances."""
        program = services.get_program(id)
        options = checked(RestartSerializer, request.data)
        if "rolling" in options:
            rolling.restart_rolling(program, size=options["rolling"], timeout=options["timeout"])
            return Response({"success": True})
        result = services.restart_program(program, all_instances=options.pop("all"), **options)
        return Response({"success": True, **result})

    @schemas.signal_program
    def signal(self, request: Request, id: str) -> Response:
        """Signal a program, or one or all of its instances."""
        program = services.get_program(id)
        options = checked(SignalSerializer, request.data)
        signalling.signal_program(program, all_instances=options.pop("all"), **options)
        return Response({"success": True})

    @schemas.reload_program
    def reload(self, request: Request, id: str) -> Response:
        """Have a program, or one or all of its instances, reload as the program says."""
        program = services.get_program(id)
        options = checked(ReloadSerializer, request.data)
        signalling.reload_program(program, all_instances=options.pop("all"), **options)
        return Response({"success": True})

    @schemas.write_input
    def write_input(self, request: Request, id: str) -> Response:
        """Write to the standard input of a program, or of one of its instances."""
        program = services.get_program(id)
        services.write_input(program, **checked(InputSerializer, request.data))
        return Response({"success": True})

    @schemas.program_logs
    def logs(self, request: Request, id: str) -> Response:
        """Return the last lines of a log."""
        program = services.get_program(id)
        query = self.query(request)
        return log_response(request, program, _log_key(program, query), query)

    @stream_schemas.program_log_stream
    def log_stream(self, request: Request, id: str) -> StreamResponse | HttpResponse:
        """Stream a log as it is written."""
        program = services.get_program(id)
        query = checked(InstanceLogStreamQuerySerializer, stream_query(request))
        source = stream.of_program(program, _log_key(program, query), query)
        return stream_answer(request, VIEW, source)

    @classmethod
    def needed_by(cls, action: str, body: Mapping[str, Any]) -> Sequence[str]:
        """Return the permissions of all that applying a list may do; none for what only shows a plan."""
        if action != "apply" or body.get("dry_run") is True:
            return []
        return [*ADD, *CHANGE, *(REMOVE if body.get("prune") else [])]


def _check_plan(request: Request, waits: bool, plan: Plan) -> None:
    """Raise PermissionDenied if the user may not do what a plan does, or may do nothing and would wait.

    Who only looks is not to take the few places of requests that wait.
    """
    if waits and not any(map(request.user.has_perms, (OPERATE, ADD, CHANGE, REMOVE))):
        raise PermissionDenied("You do not have the permission to wait for programs")
    missing = [
        action.value
        for action, needed in _NEEDED_FOR.items()
        if action in plan.actions and not request.user.has_perms(needed)
    ]
    if missing:
        raise PermissionDenied(f"You do not have the permission to {' and '.join(missing)} programs")


def _program_response(program: Program) -> Response:
    return Response({"success": True, "program": program_document(program)})


def _log_key(program: Program, query: dict[str, Any]) -> Key | None:
    """Return the key of the instance whose log is requested; a program with several requires one."""
    return targets.require_key(program, query.pop("key", None))
