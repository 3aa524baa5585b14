"""The form for programs, whose rules are the model's. Values are saved as typed, without stripping."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db.models import Field

from daemon_programs.admin.forms.fields import JsonField
from daemon_programs.admin.forms.widgets import PlainText
from daemon_programs.models import Program
from daemon_programs.models.fields import FIELD, PROGRAM_FIELDS, SECTIONS

Fieldsets = list[tuple[str | None, dict[str, Any]]]

_ROWS = {"description": 2, "command": 3, "environment": 4, "before_start": 4, "webhooks": 8}
_MOST_ROWS = 12


class ProgramForm(forms.ModelForm):
    """The form for programs."""

    problem = ""  # why a valid change could not be applied; shown above the form

    class Meta:
        widgets = {"port_param": PlainText}  # its rules allow line breaks

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            # Browsers count UTF-16 units, the rules characters. Therefore only the rules limit the length.
            field.widget.attrs.pop("maxlength", None)
            if isinstance(field, JsonField) and name in FIELD:
                field.describe(FIELD[name])
            if isinstance(field.widget, PlainText):
                field.widget.attrs["rows"] = max(_ROWS.get(name, 1), self._lines_of(name, field))

    def _lines_of(self, name: str, field: forms.Field) -> int:
        """Return how many lines a value has when it is first shown, as far as there is room for them."""
        shown = field.prepare_value(self.get_initial_for_field(field, name))
        return min(str(shown or "").count("\n") + 1, _MOST_ROWS)

    def clean_environment(self) -> dict[str, str]:
        """Return the environment; an empty text means that it has no variables."""
        return self.cleaned_data["environment"] or {}

    def clean(self) -> dict[str, Any] | None:
        """Refuse the form if the valid change could not be applied."""
        if self.problem:
            raise ValidationError(self.problem)
        return super().clean()


def fieldsets(program: Program | None) -> Fieldsets:
    """Return the form's fields in sections, some of which are collapsed unless the program uses them."""
    columns = {column.name: column for column in Program._meta.concrete_fields if column.editable}
    del columns["id"]
    sets: Fieldsets = []
    for heading, introduction, is_collapsible in SECTIONS:
        names = [name for field in PROGRAM_FIELDS if field.section == heading for name in field.model_columns]
        section = {name: columns.pop(name) for name in names}
        is_collapsed = is_collapsible and not (program and _differs(program, section.values()))
        sets.append((heading, _options(section, introduction, ["collapse"] if is_collapsed else [])))
    if columns:
        raise ImproperlyConfigured(f"Not in the list of a program's fields: {', '.join(columns)}")
    return sets


def _options(names: Iterable[str], description: str, classes: list[str]) -> dict[str, Any]:
    return {"fields": list(names), "description": description, "classes": classes}


def _differs(program: Program, fields: "Iterable[Field[Any, Any]]") -> bool:
    """Return whether a program has another value than the default in any of the fields."""
    return any(field.value_from_object(program) != field.get_default() for field in fields)
