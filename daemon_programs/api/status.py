"""The routes of statuses: what runs, and which resources it uses."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from daemon_programs.api.base import VIEW, DaemonViewSet
from daemon_programs.api.openapi import operations as schemas
from daemon_programs.models import Program
from daemon_programs.models.rows import rows
from daemon_programs.programs import preflight, services, targets, waiting
from daemon_programs.programs.observed import stats, statuses, unclaimed
from daemon_programs.programs.observed.findings import findings
from daemon_programs.serializers.queries import StatusQuerySerializer
from daemon_programs.supervisor.instances import Key
from daemon_programs.supervisor.processes.notes import Owner
from daemon_programs.supervisor.states import ProcessState, ProgramState


class StatusViewSet(DaemonViewSet):
    """The statuses of all programs, or of one."""

    permissions_of = {"list": VIEW, "retrieve": VIEW}
    query_of = {"retrieve": StatusQuerySerializer}

    @schemas.list_statuses
    def list(self, request: Request) -> Response:
        """Return the status of each program, in id order."""
        reported = waiting.report()
        states = reported["programs"]
        listed = [
            {
                "id": program.pk,
                "name": program.name,
                "enabled": program.enabled,
                "status": statuses.program_status(program, states.get(program.group)),
            }
            for program in rows.all()
        ]
        found = unclaimed.describe(reported["unclaimed"])
        return Response(
            {"success": True, "statuses": listed, **({"unclaimed_processes": found} if found else {})}
        )

    @schemas.retrieve_status
    def retrieve(self, request: Request, id: str) -> Response:
        """Return the status of one program, or of one of its instances."""
        program = services.get_program(id)
        query = self.query(request)
        key = targets.check_key(program, query["key"]) if "key" in query else None
        fields = _status_fields(program, key, with_stats=query["include_stats"])
        return Response({"success": True, **fields})


def _status_fields(program: Program, key: Key | None, *, with_stats: bool) -> dict[str, Any]:
    """Return the fields of ``GET status/{id}``: those of an instance, of all or of a single process.

    Only instances have ``stats`` on request; a single process always has them.
    """
    state = waiting.state_of(program)
    if key is not None:
        process = statuses.process_state(state, key.process)
        instance = {**statuses.instance(program, key, process), **findings(program, process)}
        stats.add_to_instances(program, [instance], stats.measure(_only(program, state, key.process)))
        return {"instance": instance, **_runs(process)}
    if program.keys is not None:
        instances = [
            {**each, **findings(program, statuses.process_state(state, statuses.key_in(each).process))}
            for each in statuses.list_instances(program, state)
        ]
        if with_stats and state:
            stats.add_to_instances(program, instances, stats.measure({program.group: state}))
        return {
            "instances": instances,
            "running_count": statuses.count_running(instances),
            "total_count": len(program.keys),
            **({} if instances else _problem(program)),
        }
    process = statuses.process_state(state, program.group)
    measured = stats.measure(_only(program, state, program.group)).get(Owner(program.group, program.group))
    status = {**statuses.program_status(program, state), **findings(program, process)}
    if program.attach_command and "pid" in status:
        status["attach"] = program.attach_command
    return {
        "status": status,
        **({"stats": measured} if measured else {}),
        **_runs(process),
        **({} if "pid" in status else _problem(program)),
    }


def _problem(program: Program) -> dict[str, str]:
    """Return what the preflight check finds for a program that does not run."""
    problem = preflight.problem(program)
    return {"problem": problem} if problem else {}


def _only(program: Program, state: ProgramState | None, name: str) -> dict[str, ProgramState]:
    """Return the state of a single process in the form that `stats.measure` takes."""
    chosen = {name: statuses.process_state(state, name)}
    return {program.group: {"changing": False, "digest": "", "processes": chosen}}


def _runs(process: ProcessState) -> dict[str, Any]:
    """Return how the last run ended, and what is known of restarts."""
    ended = statuses.last_run(process)
    return {**({"last_run": ended} if ended else {}), **statuses.restarts(process)}
