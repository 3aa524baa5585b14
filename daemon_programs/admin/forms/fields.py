"""Fields of JSON in the admin's forms, parsed as strictly as in the API."""

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput

from daemon_programs.admin.forms.shapes import shape_of
from daemon_programs.admin.forms.widgets import JsonText
from daemon_programs.models.fields import FIELD, Kind, ProgramField


class JsonField(forms.JSONField):
    """A JSON object, or a list where one is expected, or nothing.

    Text that is refused is shown again as it was typed.
    """

    widget = JsonText
    takes_lists = False

    def describe(self, field: ProgramField) -> None:
        """Take the values of a program's field, and show them as rows."""
        self.takes_lists = field.kind is Kind.JSON
        self.widget.attrs["data-rows"] = json.dumps(shape_of(field))
        self.widget.attrs["placeholder"] = json.dumps(field.example)

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


def json_field(name: str, **options: Any) -> JsonField:
    """Return a form field for a program's field of JSON, for forms that are not derived from the model."""
    made = JsonField(required=False, **options)
    made.describe(FIELD[name])
    return made


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a key occurs twice")
    return content
