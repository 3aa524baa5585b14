"""Programs in the admin: the list with live states, the verbs as actions and buttons, and the form.

All changes go through ``programs.services`` and ``Program.save``, as those of the API do. An error becomes
a message with the same sentence.
"""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.forms import model_to_dict
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from daemon_programs.admin.base import attempt
from daemon_programs.admin.form_page import FormPage
from daemon_programs.admin.forms import ProgramForm, fieldsets
from daemon_programs.admin.program.listing import ProgramList
from daemon_programs.admin.program.names import ProgramNames
from daemon_programs.admin.program.page import ProgramPage
from daemon_programs.admin.program.removal import ProgramRemoval
from daemon_programs.models import Program
from daemon_programs.programs import waiting


@admin.register(Program)
class ProgramAdmin(FormPage, ProgramPage, ProgramRemoval, ProgramNames, ProgramList):  # type: ignore[misc]  # Media
    """The list, the page, the form and the removal of programs."""

    form = ProgramForm

    def get_fieldsets(self, request: HttpRequest, obj: Program | None = None) -> Any:
        """Return the sections of the form."""
        read_only = obj is not None and not self.has_change_permission(request, obj)
        return fieldsets(obj or _template(request), read_only=read_only)

    def add_view_from(self, request: HttpRequest, template: Program) -> HttpResponse:
        """Show the form of a new program, filled in as a program that is not stored."""
        request.template = template  # type: ignore[attr-defined]
        return self.add_view(request, form_url=reverse("admin:daemon_programs_program_add"))

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Return the values that the form of a new program is filled in with."""
        template = _template(request)
        return model_to_dict(template) if template else super().get_changeform_initial_data(request)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        """Save a program; wait until supervisord has applied the change."""
        response = super().changeform_view(request, object_id, form_url, extra_context)
        if request.method == "POST" and object_id and response.status_code == 302:
            self._wait_until_settled(request, object_id)
        return response

    def _wait_until_settled(self, request: HttpRequest, object_id: str) -> None:
        """Wait until supervisord has applied the change, so that the next page shows the result."""

        def settle(program: Program) -> None:
            waiting.wait_until_settled(program, timeout_message="it is saved, but still being restarted")

        program = self.get_object(request, unquote(object_id))
        if program is not None:
            attempt(request, program, settle)


def _template(request: HttpRequest) -> Program | None:
    return getattr(request, "template", None)
