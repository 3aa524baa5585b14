"""The routes of statuses: what runs, and what it uses."""

from collections.abc import Sequence
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from daemon_programs.api.base import VIEW, DaemonViewSet, port_of
from daemon_programs.api.openapi import operations as shapes
from daemon_programs.models import Program
from daemon_programs.programs import preflight, readiness, services, stats, statuses, waiting
from daemon_programs.supervisor.processes.notes import Owner
from daemon_programs.supervisor.states import ProcessState, ProgramState


class StatusViewSet(DaemonViewSet):
    """Statuses, of all programs and of one."""

    permissions_of = {"list": VIEW, "retrieve": VIEW}

    @shapes.list_statuses
    def list(self, request: Request) -> Response:
        states = waiting.states()
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
        program = services.get_program(id)
        port = port_of(program, request)
        return Response({"success": True, **_status_answer(program, port)})


def add_statuses(
    programs: Sequence[Program], documents: Sequence[dict[str, Any]], *, with_stats: bool
) -> None:
    """Add what ``GET programs`` shows of what runs: one call, and at most one sweep."""
    states = waiting.states()
    measured = stats.measure(states) if with_stats else {}
    for program, document in zip(programs, documents, strict=True):
        state = states.get(program.group)
        document["status"] = statuses.listed_status(program, state)
        if program.has_ports:
            stats.add_to_instances(program, document["status"]["instances"], measured)
        elif own := measured.get(Owner(program.group, program.group)):
            document["stats"] = own


def _status_answer(program: Program, port: int | None) -> dict[str, Any]:
    state = waiting.state_of(program)
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
    measured = stats.measure(_only(program, state, program.group)).get(Owner(program.group, program.group))
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
    problem = preflight.obstacle(program)
    return {"problem": problem} if problem else {}


def _only(program: Program, state: ProgramState | None, name: str) -> dict[str, ProgramState]:
    """The states that the stats of a single process are measured of."""
    chosen = {name: statuses.process_state(state, name)}
    return {program.group: {"changing": False, "digest": "", "processes": chosen}}


def _last_run(process: ProcessState) -> dict[str, Any]:
    ended = statuses.last_run(process)
    return {"last_run": ended} if ended else {}
