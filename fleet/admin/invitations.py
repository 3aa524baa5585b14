"""Invitations in the admin: made with a code that is shown once, and withdrawn."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from daemon_programs.admin.presentation.times import ago
from daemon_programs.exceptions import NotPermitted
from fleet.admin.forms import InvitationForm
from fleet.models import Invitation
from fleet.registry import invitations


@admin.register(Invitation)
class InvitationAdmin(admin.ModelAdmin):
    """The codes that are not used yet. To make one also takes the permission to add hosts, as in the API."""

    form = InvitationForm
    list_display = ["for_host", "expires", "made_by"]
    fields = ["name", "labels", "hours"]

    class Media:
        css = {"all": ["daemon_programs/css/forms.css"]}

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may make a code."""
        return super().has_add_permission(request) and request.user.has_perm("fleet.add_host")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return that a code can't be changed, only withdrawn."""
        return False

    def get_fields(self, request: HttpRequest, obj: Invitation | None = None) -> Any:
        """Return the form; of an invitation that is there, what it allows."""
        return ["for_host", "labels", "expires", "made_by"] if obj else self.fields

    def get_readonly_fields(self, request: HttpRequest, obj: Invitation | None = None) -> list[str]:
        """Return what is shown of an invitation."""
        return ["for_host", "expires", "made_by"] if obj else []

    def save_model(self, request: HttpRequest, obj: Invitation, form: Any, change: bool) -> None:
        """Make the invitation, and show its code in a message."""
        may_change = request.user.has_perm("fleet.change_host")
        try:
            invitations.prepare(obj, user=request.user.get_username(), may_change=may_change)
        except NotPermitted as problem:
            raise PermissionDenied(str(problem)) from problem
        code = obj.make_code()
        invitations.remove_expired()
        super().save_model(request, obj, form, change)
        messages.success(request, format_html("The code, shown this once: <code>{}</code>", code))

    @admin.display(description="for")
    def for_host(self, invitation: Invitation) -> str:
        """Return the host that it is for."""
        return invitation.name or "any new host"

    @admin.display(description="expires", ordering="expires_at")
    def expires(self, invitation: Invitation) -> SafeString:
        """Return when the code expires, or did."""
        return ago(invitation.expires_at)
