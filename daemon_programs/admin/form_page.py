"""The page of a form, which saves as the API does: in one transaction, and with the same sentences."""

from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest, HttpResponse

from daemon_programs.admin.forms import JsonField, PlainText
from daemon_programs.programs.reported import REPORTED_ERRORS, error_message
from daemon_programs.transactions import write_transaction


class FormPage(admin.ModelAdmin):
    """Save what a form says, or show it again with what has failed."""

    formfield_overrides = {
        models.CharField: {"strip": False},
        models.TextField: {"strip": False, "widget": PlainText},
        models.JSONField: {"form_class": JsonField, "show_hidden_initial": False},
    }

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Return the form's class, with the error that the request has met, if any."""
        form: Any = super().get_form(request, obj, change, **kwargs)
        form.problem = getattr(request, "problem", "")
        return form

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        """Save in one transaction with the effects on supervisord; show the form again if either fails."""
        if request.method != "POST":
            return super().changeform_view(request, object_id, form_url, extra_context)
        try:
            with write_transaction():
                return super().changeform_view(request, object_id, form_url, extra_context)
        except REPORTED_ERRORS as problem:
            request.problem = error_message(problem)  # type: ignore[attr-defined]
            return super().changeform_view(request, object_id, form_url, extra_context)
