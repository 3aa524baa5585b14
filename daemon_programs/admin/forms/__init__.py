"""The admin's form for programs: how values are typed, and the order in which they are asked for."""

from daemon_programs.admin.forms.fields import JsonField, json_field
from daemon_programs.admin.forms.program import ProgramForm, fieldsets
from daemon_programs.admin.forms.widgets import PlainText

__all__ = ["JsonField", "PlainText", "ProgramForm", "fieldsets", "json_field"]
