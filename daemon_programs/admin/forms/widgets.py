"""The widgets of the admin's forms."""

from typing import Any

from django import forms
from django.forms.widgets import Script


class PlainText(forms.Textarea):
    """A text area that undoes the conversion of line breaks to CR LF by browsers."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        plain = {"rows": 1, "class": "vLargeTextField plain-text", "spellcheck": "false"}
        super().__init__({**plain, **(attrs or {})})

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        value = super().value_from_datadict(data, files, name)
        return value.replace("\r\n", "\n") if isinstance(value, str) else value


class JsonText(PlainText):
    """A text area of JSON, which a script shows as rows if ``data-rows`` says what they are."""

    class Media:
        css = {"all": ["daemon_programs/css/forms.css"]}
        js = [Script("daemon_programs/forms/rows.js", type="module")]
