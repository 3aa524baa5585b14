"""The widgets of the admin's forms."""

from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminIntegerFieldWidget, AdminTextInputWidget
from django.forms.widgets import Script
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from daemon_programs.admin.forms.accounts import account_names


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


class UserName(AdminTextInputWidget):
    """The name of a system user, with the accounts that there are as suggestions."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        list_id = f"{(attrs or {}).get('id', name)}_accounts"
        control = super().render(name, value, {**(attrs or {}), "list": list_id}, renderer)
        options = format_html_join("", '<option value="{}"></option>', ([each] for each in account_names()))
        return format_html('{}<datalist id="{}">{}</datalist>', control, list_id, options)


class Quantity(AdminIntegerFieldWidget):
    """A whole number with its unit beside it."""

    def __init__(self, unit: str, attrs: Any = None) -> None:
        super().__init__(attrs)
        self.unit = unit

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        control = super().render(name, value, attrs, renderer)
        return format_html('<span class="quantity">{} {}</span>', control, self.unit)


class AutomaticYesNo(forms.NullBooleanSelect):
    """Yes, no, or what is decided by itself."""

    def __init__(self, attrs: Any = None) -> None:
        super().__init__(attrs)
        self.choices = [("unknown", "automatic"), ("true", "yes"), ("false", "no")]
