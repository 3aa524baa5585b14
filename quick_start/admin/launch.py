"""The form that runs something: it launches a temporary program as the API does, with the same sentences."""

from typing import Any

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from daemon_programs.admin.form_page import FormPage
from daemon_programs.admin.forms import ProgramForm
from daemon_programs.admin.forms.accounts import account_names
from daemon_programs.admin.forms.widgets import Quantity
from daemon_programs.models.fields import SECTIONS, TEMPORARY_FIELDS, Kind
from quick_start import services
from quick_start.admin.values import GONE, for_another_run
from quick_start.models import TTL_SECONDS, EphemeralProgram
from quick_start.serializers import LaunchSerializer

Fieldsets = list[tuple[str | None, dict[str, Any]]]

_FIRST = ["command", "user", "directory", "environment", "ttl", "autorestart", "name"]
_TTL_CHOICES = [
    *((60, "1 minute"), (600, "10 minutes"), (3600, "1 hour"), (28800, "8 hours")),
    (TTL_SECONDS[1], "1 day"),
]
_DEFAULTS = {column.name: column.get_default for column in EphemeralProgram._meta.concrete_fields}
_PATHS = {field.name for field in TEMPORARY_FIELDS if field.kind is Kind.PATHS}


class TimeToLive(Quantity):
    """A number of seconds, with those that have a name as suggestions."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        list_id = f"{(attrs or {}).get('id', name)}_choices"
        control = super().render(name, value, {**(attrs or {}), "list": list_id}, renderer)
        options = format_html_join("", '<option value="{}" label="{}"></option>', _TTL_CHOICES)
        return format_html('{}<datalist id="{}">{}</datalist>', control, list_id, options)


class LaunchForm(ProgramForm):
    """The form of a launch. `LaunchSerializer` and the model check it, as they check a request."""

    class Meta(ProgramForm.Meta):
        labels = {**ProgramForm.Meta.labels, "ttl": "Time to live", "directory": "Folder"}
        help_texts = {
            "ttl": "After this time it is stopped. Empty: it runs until it ends.",
            "name": "Empty: made from the command.",
        }
        widgets = {**ProgramForm.Meta.widgets, "ttl": TimeToLive("seconds")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            # So that what is missing or out of range is told with the sentence of the API.
            field.required = False
            field.validators = []
        self.values: dict[str, Any] = {}  # what is launched

    def clean(self) -> dict[str, Any] | None:
        """Check the values as those of a request are checked."""
        cleaned = super().clean()
        for name, value in self.cleaned_data.items():
            if value in (None, ""):
                self.cleaned_data[name] = _DEFAULTS[name]()
        given = {
            name: value.split("\n") if name in _PATHS else value
            for name, value in self.cleaned_data.items()
            if value not in (None, "")
        }
        serializer = LaunchSerializer(data=given)
        if serializer.is_valid():
            self.values = dict(serializer.validated_data)
            for name in ("wait", "timeout"):
                self.values.pop(name)
        for name, errors in serializer.errors.items():
            if name not in self.errors:  # which is why it is missing here
                self.add_error(name if name in self.fields else None, [str(error) for error in errors])
        return cleaned


class LaunchAdmin(FormPage):
    """The form of a launch, in the place of the form that adds a record."""

    form = LaunchForm

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may launch programs; the mixin of all pages asks for the one to view."""
        return admin.ModelAdmin.has_add_permission(self, request)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Return the values of the record to run again. Nothing else in an address fills in the form."""
        if record := self.record_to_repeat(request):
            return for_another_run(record)
        permitted = account_names()
        return {"user": permitted[0]} if len(permitted) == 1 else {}

    def record_to_repeat(self, request: HttpRequest) -> EphemeralProgram | None:
        """Return the record that is run again, as the address says; raise Http404 if it is gone."""
        again = request.GET.get("again")
        if not again:
            return None
        record: EphemeralProgram | None = self.get_object(request, again)
        if record is None:
            raise Http404(GONE)
        return record

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        """Give the form that launches something its title."""
        if object_id is None:
            extra_context = {"title": "Run something", **(extra_context or {})}
        return super().changeform_view(request, object_id, form_url, extra_context)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Launch what the form says; ``obj`` becomes the record."""
        launched = services.launch(form.values)
        obj.__dict__.update(EphemeralProgram.objects.get(temporary_id=launched["temporary_id"]).__dict__)

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Lead to the record's page, which shows the output."""
        messages.success(request, f"Launched: {obj}.")
        return redirect("admin:quick_start_ephemeralprogram_change", obj.pk)


def fieldsets(used: EphemeralProgram | None = None) -> Fieldsets:
    """Return the fields of the form in sections, folded unless a record to run again uses them."""
    sets: Fieldsets = [(None, {"fields": _FIRST})]
    for heading, introduction, _ in SECTIONS:
        names = [
            name
            for field in TEMPORARY_FIELDS
            if field.section == heading
            for name in field.model_columns
            if name not in _FIRST
        ]
        if names:
            classes = [] if used is not None and _differs(used, names) else ["collapse"]
            sets.append((heading, {"fields": names, "description": introduction, "classes": classes}))
    return sets


def _differs(record: EphemeralProgram, names: list[str]) -> bool:
    return any(getattr(record, name) != _DEFAULTS[name]() for name in names)
