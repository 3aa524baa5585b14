"""The page of one program above its form: what it shows, and its buttons."""

from functools import partial
from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse

from daemon_programs.admin import delivery as delivery_admin
from daemon_programs.admin import event as event_admin
from daemon_programs.admin.base import LiveAdmin, attempt
from daemon_programs.admin.presentation.live import live
from daemon_programs.admin.program.operations import (
    BUTTON_TIMEOUT_SECONDS,
    OPERATIONS,
    WAITING,
    key_from,
    kind_of,
)
from daemon_programs.exceptions import Refused
from daemon_programs.models import Program
from daemon_programs.programs import signalling
from daemon_programs.supervisor.processes.signals import SIGNALS


class ProgramPage(LiveAdmin):
    """The live part of a program's page."""

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Add the live section, the last events and the deliveries, as far as the user may see them."""
        program = kwargs.get("obj")
        # `program` may have values that were typed and refused.
        stored = program and Program.objects.filter(pk=program.pk).first()
        if stored:
            may_operate = self.has_operate_permission(request)
            key = key_from(stored, request.GET.get(kind_of(stored).name, ""))
            context["live"] = live(stored, key, may_operate=may_operate)
            if request.user.has_perm("daemon_programs.view_event"):
                context["live"]["events"] = event_admin.summary_for_program(stored)
            if request.user.has_perm("daemon_programs.view_delivery"):
                may_change = self.has_change_permission(request, stored)
                context["live"]["webhooks"] = delivery_admin.summary_for_program(
                    stored, may_change=may_change
                )
        return super().render_change_form(request, context, *args, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        """Add the addresses of the buttons."""
        operate = path(
            "<path:object_id>/operate/",
            self.admin_site.admin_view(self.operate_view),
            name="daemon_programs_program_operate",
        )
        rotate_secret = path(
            "<path:object_id>/webhook-secret/",
            self.admin_site.admin_view(partial(delivery_admin.rotate_secret_view, self)),
            name="daemon_programs_program_webhook_secret",
        )
        return [operate, rotate_secret, *super().get_urls()]

    def operate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Handle a button: its name is that of an operation, its value a key or ``all``."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_operate_permission(request):
            raise PermissionDenied
        program = self.get_object(request, unquote(object_id))
        name = next((name for name in (*OPERATIONS, "signal") if name in request.POST), None)
        if program is None or name is None:
            return HttpResponseBadRequest("The program or the button does not exist")
        if name == "signal":
            self._signal(request, program)
        else:
            self._operate(request, program, name, request.POST[name])
        page = reverse("admin:daemon_programs_program_change", args=[program.pk])
        key = key_from(program, request.POST[name])
        return redirect(f"{page}?{key.kind.name}={key.value}" if key else page)

    def _operate(self, request: HttpRequest, program: Program, name: str, target: str) -> None:
        verb, done = OPERATIONS[name]
        key = key_from(program, target)
        wait = {"wait": True, "timeout": BUTTON_TIMEOUT_SECONDS} if name in WAITING else {}

        def operate(program: Program) -> None:
            if target not in ("", "all") and key is None:
                raise Refused(f"The {kind_of(program).name} must be a number")
            verb(program, key=key, all_instances=target == "all", **wait)

        if attempt(request, program, operate):
            label = f"“{program}”, {key.kind.name} {key.value}" if key else f"“{program}”"
            self.log_change(request, program, f"{done.capitalize()}: {label}.")
            messages.success(request, f"{label}: {done}.")

    def _signal(self, request: HttpRequest, program: Program) -> None:
        """Send the chosen signal to all that runs of a program."""
        name = request.POST.get("signal_name", "")

        def signal(program: Program) -> None:
            if name not in SIGNALS:
                raise Refused("The signal does not exist")
            signalling.signal_program(program, name, all_instances=True)

        if attempt(request, program, signal):
            self.log_change(request, program, f"SIG{name} sent.")
            messages.success(request, f"“{program}”: SIG{name} sent.")
