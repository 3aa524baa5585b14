"""The admin's form for programs. The rules are the model's; this module defines how values are typed.

Values are saved as they were typed, without stripping. JSON is parsed as strictly as in the API.
"""

import json
from collections.abc import Iterable
from typing import Any

from django import forms
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db.models import Field
from django.forms.fields import InvalidJSONInput

from daemon_programs.models import Program
from daemon_programs.models.fields import FIELD, PROGRAM_FIELDS, SECTIONS, Kind

Fieldsets = list[tuple[str | None, dict[str, Any]]]

_ROWS = {"description": 2, "command": 3, "environment": 4, "before_start": 4, "webhooks": 8}
_MOST_ROWS = 12


class PlainText(forms.Textarea):
    """A text area that undoes the conversion of line breaks to CR LF by browsers."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        plain = {"rows": 1, "class": "vLargeTextField plain-text", "spellcheck": "false"}
        super().__init__({**plain, **(attrs or {})})

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        value = super().value_from_datadict(data, files, name)
        return value.replace("\r\n", "\n") if isinstance(value, str) else value


class JsonField(forms.JSONField):
    """A JSON object, or a list where one is expected, or nothing.

    Text that is refused is shown again as it was typed.
    """

    widget = PlainText
    takes_lists = False

    def to_python(self, value: Any) -> Any:
        if isinstance(value, (dict, list)):
            return value
        if not isinstance(value, str) or not value.strip():
            return None
        try:
            content = json.loads(value, object_pairs_hook=_object)
        except (ValueError, RecursionError) as problem:
            raise ValidationError(f"This is not valid JSON: {problem}") from None
        if not isinstance(content, (dict, list) if self.takes_lists else dict):
            raise ValidationError('This must be a JSON object: {"name": "value"}')
        return content

    def bound_data(self, data: Any, initial: Any) -> Any:
        # Django would parse the text to show it again, but refused text may not be JSON.
        return initial if self.disabled else InvalidJSONInput(data or "")

    def prepare_value(self, value: Any) -> str:
        if isinstance(value, InvalidJSONInput):
            return value
        return "" if value is None else json.dumps(value, ensure_ascii=False, indent=2)


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
                field.takes_lists = FIELD[name].kind is Kind.JSON
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


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a key occurs twice")
    return content
