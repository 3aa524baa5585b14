"""The admin's form for programs: how values are typed, and the order in which they are asked for."""

from daemon_programs.admin.forms.fields import JsonField, json_field
from daemon_programs.admin.forms.program import ProgramForm
from daemon_programs.admin.forms.sections import fieldsets
from daemon_programs.admin.forms.widgets import PlainText, UserName

__all__ = ["JsonField", "PlainText", "ProgramForm", "UserName", "fieldsets", "json_field"]
