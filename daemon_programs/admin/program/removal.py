"""The removal of programs, one or several: pages that say what it means and ask, and what follows."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.contrib.admin.actions import delete_selected
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.defaultfilters import pluralize
from django.utils.safestring import SafeString

from daemon_programs.admin.base import LiveAdmin, attempt
from daemon_programs.admin.presentation.badges import badge, program_badge
from daemon_programs.admin.program import summary
from daemon_programs.exceptions import DaemonError
from daemon_programs.models import Program
from daemon_programs.programs import batch, services, waiting
from daemon_programs.programs.batch import Outcome
from daemon_programs.programs.observed import statuses
from daemon_programs.supervisor import spec
from daemon_programs.supervisor.states import ProgramState

_MOST_SHOWN = 100


@dataclass(frozen=True)
class Removal:
    """What ends with a program, and what stays of it."""

    program: Program
    badge: SafeString
    pids: list[int]
    is_starting: bool  # a process of it has no pid yet, and would get one
    logs: list[str]
    dependents: list[str]  # the names of the programs that wait for it at their starts


def removals(programs: list[Program]) -> dict[str, Any]:
    """Return the template context of the pages that ask whether to remove programs."""
    problem = ""
    states: dict[str, ProgramState] = {}
    try:
        if len(programs) == 1:
            state = waiting.state_of(programs[0])
            states = {programs[0].group: state} if state else {}
        else:
            states = waiting.states()
    except DaemonError as error:
        problem = str(error)
    dependents = _dependents(programs)
    found = [_removal(program, states.get(program.group), dependents, problem) for program in programs]
    return {
        "removals": found[:_MOST_SHOWN],
        "not_shown": len(found[_MOST_SHOWN:]),
        "running": sum(len(each.pids) for each in found),
        "are_starting": any(each.is_starting for each in found),
        "unknown_because": problem,
        "grace_seconds": max((each.program.stop_grace_seconds for each in found if each.pids), default=0),
        "have_dependents": any(each.dependents for each in found),
        "have_webhooks": any(each.program.webhooks for each in found),
    }


def _removal(
    program: Program, state: ProgramState | None, dependents: dict[str, list[str]], problem: str
) -> Removal:
    processes = list(state["processes"].values()) if state else []
    pids = [process["pid"] for process in processes if process.get("pid")]
    is_starting = any(
        statuses.status_of(process) in ("starting", "backoff")
        for process in processes
        if not process.get("pid")
    )
    shown = badge("unknown") if problem else program_badge(program, state)
    return Removal(program, shown, pids, is_starting, _logs(program), dependents.get(program.name, []))


def _logs(program: Program) -> list[str]:
    """Return the paths of a program's logs, with a placeholder where each instance has its own."""
    if not program.logs_enabled:
        return []
    paths = [program.log_path("stdout")]
    if not program.redirect_stderr:
        paths.append(program.log_path("stderr"))
    return [spec.log_per_instance(path, program.keys.kind) for path in paths] if program.keys else paths


def _dependents(programs: Iterable[Program]) -> dict[str, list[str]]:
    """Return, by the names of programs, the names of others that depend on them and are to stay."""
    leaving = {program.pk for program in programs}
    found: dict[str, list[str]] = {}
    others = Program.objects.filter(depends_on__isnull=False).values_list("pk", "name", "depends_on")
    for pk, name, dependencies in others:
        if pk not in leaving:
            for each in dependencies or ():
                found.setdefault(each["program"], []).append(name)
    return found


class ProgramRemoval(LiveAdmin):
    """The pages that remove programs."""

    class Media:
        css = {"all": ["daemon_programs/css/removal.css"]}

    delete_confirmation_template = "admin/daemon_programs/program/delete_confirmation.html"
    delete_selected_confirmation_template = "admin/daemon_programs/program/delete_selected_confirmation.html"

    @admin.action(description="Delete selected programs", permissions=["delete"])
    def delete_selected(self, request: HttpRequest, programs: QuerySet[Program]) -> HttpResponse | None:
        """Let Django's action ask for confirmation, then stop and delete the programs."""
        if not request.POST.get("post"):
            page: Any = delete_selected(self, request, programs)
            page.context_data |= {
                "title": f"Delete {len(programs)} program{pluralize(len(programs))}",
                **removals(list(programs)),
            }
            return page
        results = batch.run("remove", list(programs))
        removed: Any = [result.program for result in results if result.outcome is Outcome.DONE]
        self.log_deletions(request, removed)
        summary.show(request, results, "deleted")
        return None

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Ask for confirmation, then stop and delete the program."""
        program = self.get_object(request, unquote(object_id))
        if not program or not self.has_delete_permission(request, program):
            return super().delete_view(request, object_id, extra_context)
        if request.method != "POST":
            return super().delete_view(request, object_id, {**(extra_context or {}), **removals([program])})
        if self.remove(request, program):
            return self.response_delete(request, str(program), program.pk)
        return redirect("admin:daemon_programs_program_changelist")

    def remove(self, request: HttpRequest, program: Program) -> bool:
        """Stop and delete a program, log that, and return whether it is done."""
        done = attempt(request, program, lambda program: services.remove_program(str(program.pk)))
        if done:
            self.log_deletions(request, [program])  # type: ignore[arg-type]  # as Django does
        return done
