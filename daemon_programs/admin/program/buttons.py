"""What happens when a button on the page of a program is pressed."""

from collections.abc import Sequence

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.urls import reverse

from daemon_programs.admin.base import LiveAdmin, attempt
from daemon_programs.admin.presentation.instances import span
from daemon_programs.admin.program.operations import (
    FOR_SELECTED,
    OPERATIONS,
    WAITING,
    key_from,
    keys_for,
    kind_of,
    operate_selected,
)
from daemon_programs.admin.program.starts import explain
from daemon_programs.exceptions import Refused
from daemon_programs.models import Program
from daemon_programs.programs.observed import statuses
from daemon_programs.programs.selected import Result
from daemon_programs.supervisor.instances import Key


class ProgramButtons(LiveAdmin):
    """The buttons of a program's page; each leads back to the page, with a message."""

    def operate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Handle a button: its name is that of an operation, its value a key, ``all`` or ``selected``."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        name = next((name for name in OPERATIONS if name in request.POST), None)
        if not self._may(request, OPERATIONS[name].permission if name else "operate"):
            raise PermissionDenied
        program = self.get_object(request, unquote(object_id))
        if program is None or name is None:
            return HttpResponseBadRequest("The program or the button does not exist")
        self._press(request, program, name, request.POST[name])
        page = reverse("admin:daemon_programs_program_change", args=[program.pk])
        key = key_from(program, request.POST[name])
        return redirect(f"{page}?{key.kind.name}={key.value}" if key else page)

    def _may(self, request: HttpRequest, permission: str) -> bool:
        if permission == "operate":
            return self.has_operate_permission(request)
        return self.has_change_permission(request)

    def _press(self, request: HttpRequest, program: Program, name: str, target: str) -> None:
        is_about_several = target == "selected" or (target == "all" and program.keys is not None)
        if name == "signal":
            self._signal(request, program)
        elif target == "selected" or (is_about_several and name in FOR_SELECTED):
            self._operate_several(request, program, name, target)
        elif OPERATIONS[name].permission == "change":
            self._switch(request, program, name)
        else:
            self._operate(request, program, name, target)

    def _operate(self, request: HttpRequest, program: Program, name: str, target: str) -> None:
        operation = OPERATIONS[name]
        key = key_from(program, target)
        options = {"wait": True} if name in WAITING else {}
        if name == "reload" and target == "all":
            options["all_instances"] = True

        def operate(program: Program) -> None:
            if target not in ("", "all") and key is None:
                raise Refused(f"The {kind_of(program).name} must be a number")
            operation.verb(program, key=key, **options)

        label = f"“{program}”, {key.kind.name} {key.value}" if key else f"“{program}”"
        if attempt(request, program, operate, label):
            self.log_change(request, program, f"{operation.done.capitalize()}: {label}.")
            messages.success(request, f"{label}: {operation.done}.")

    def _switch(self, request: HttpRequest, program: Program, name: str) -> None:
        """Enable or disable a program."""
        operation = OPERATIONS[name]
        if attempt(request, program, operation.verb):
            self.log_change(request, program, f"{operation.done.capitalize()}.")
            messages.success(request, f"“{program}”: {operation.done}.")

    def _signal(self, request: HttpRequest, program: Program) -> None:
        """Send the chosen signal to all that runs of a program."""
        name = request.POST.get("signal_name", "")
        if attempt(request, program, lambda program: OPERATIONS["signal"].verb(program, name)):
            self.log_change(request, program, f"SIG{name} sent.")
            messages.success(request, f"“{program}”: SIG{name} sent.")

    def _operate_several(self, request: HttpRequest, program: Program, name: str, target: str) -> None:
        """Do a verb to the selected instances, or to all, with one message about all of them."""
        results: list[Result] = []

        def operate(program: Program) -> None:
            keys = keys_for(program, name) if target == "all" else _selected_keys(request, program)
            results.append(operate_selected(program, name, keys))

        if not attempt(request, program, operate):
            return
        (result,) = results
        begun = sorted([*result.done, *_pending(result)])
        if begun:
            what = f"{kind_of(program).name}{'' if len(begun) == 1 else 's'} {span(begun)}"
            self.log_change(request, program, f"{OPERATIONS[name].done.capitalize()}: {what}.")
        show = messages.warning if result.unsuccessful else messages.success if begun else messages.info
        show(request, f"“{program}”: {_summary(program, name, result)}.")


def _selected_keys(request: HttpRequest, program: Program) -> list[Key]:
    keys = {key_from(program, text) for text in request.POST.getlist("key")}
    if not keys:
        raise Refused("No instance is selected")
    if None in keys:
        raise Refused(f"The {kind_of(program).name} must be a number")
    return sorted(key for key in keys if key)


def _summary(program: Program, name: str, result: Result) -> str:
    """Return what has become of several instances: "3 started, 1 ran already"."""
    pending = _pending(result)
    failed = [key for key in result.unsuccessful if key not in set(pending)]
    parts = []
    if result.done:
        parts.append(f"{len(result.done)} {OPERATIONS[name].done}")
    if result.skipped:
        parts.append(f"{len(result.skipped)} {'ran already' if name == 'start' else 'did not run'}")
    if pending:
        parts.append(f"{len(pending)} still starting")
    if failed:
        why = explain(program, statuses.process_state(result.state, failed[0].process))
        parts.append(f"{len(failed)} not {OPERATIONS[name].done} ({failed[0].value} {why})")
    return ", ".join(parts)


def _pending(result: Result) -> Sequence[Key]:
    """Return the instances whose start goes on, and has not failed so far."""
    processes = {key: statuses.process_state(result.state, key.process) for key in result.unsuccessful}
    return [
        key
        for key, process in processes.items()
        if statuses.status_of(process) == "starting" and not process.get("restarts_since_stable")
    ]
