"""The form for programs, whose rules are the model's. Values are saved as typed, without stripping."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.widgets import Script

from daemon_programs.admin.forms.fields import JsonField
from daemon_programs.admin.forms.units import UNITS, label_of
from daemon_programs.admin.forms.widgets import AutomaticYesNo, PlainText, Quantity, UserName
from daemon_programs.models.fields import FIELD

_ROWS = {"description": 2, "command": 3, "environment": 4, "before_start": 4, "webhooks": 8}
_MOST_ROWS = 12


class ProgramForm(forms.ModelForm):
    """The form for programs."""

    problem = ""  # why a valid change could not be applied; shown above the form

    class Meta:
        labels = {name: label_of(name) for name in UNITS}
        widgets = {
            **{name: Quantity(unit) for name, unit in UNITS.items()},
            "port_param": PlainText,  # its rules allow line breaks
            "terminal_interactive": AutomaticYesNo,
            "user": UserName,
        }

    class Media:
        js = [Script("daemon_programs/forms/errors.js", type="module")]

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
