"""Admin pages for API tokens: issue, rename, rotate and revoke them. A token is shown only once."""

from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html

from hoody_site.access.models import ApiToken, digest_of, generate_token


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin):
    """Manage API tokens. Every action also requires the permission to change users.

    A token gives its holder all permissions of its user. Changing users gives as much already: it allows
    setting their passwords.
    """

    list_display = ["name", "user", "created_at", "last_used_at", "expires_at"]
    list_filter = ["user"]
    search_fields = ["name", "user__username"]
    list_select_related = ["user"]
    actions = ["rotate"]

    def get_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> Any:
        """Return the fields of the form; the times are shown for existing tokens only."""
        fields = ["name", "user", "expires_at"]
        return [*fields, "created_at", "last_used_at"] if obj else fields

    def get_readonly_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> list[str]:
        """Return the read-only fields: an existing token can't be given to another user."""
        return ["user", "created_at", "last_used_at"] if obj else []

    def has_view_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:
        """Return whether the user may see tokens."""
        return super().has_view_permission(request, obj) and _may_change_users(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may issue tokens."""
        return super().has_add_permission(request) and _may_change_users(request)

    def has_change_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:
        """Return whether the user may rename and rotate tokens."""
        return super().has_change_permission(request, obj) and _may_change_users(request)

    def has_delete_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:
        """Return whether the user may revoke tokens."""
        return super().has_delete_permission(request, obj) and _may_change_users(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may see this section of the admin."""
        return super().has_module_permission(request) and _may_change_users(request)

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:
        """Save a token; generate a new one's text and show it in a message."""
        if change:
            super().save_model(request, obj, form, change)
            return
        token = generate_token()
        obj.digest = digest_of(token)
        super().save_model(request, obj, form, change)
        text = "The token, shown this once: <code>{}</code>"
        messages.success(request, format_html(text, token))

    @admin.action(description="Rotate selected API tokens", permissions=["change"])
    def rotate(self, request: HttpRequest, tokens: QuerySet[ApiToken]) -> HttpResponse:
        """Replace the selected tokens and show the new ones, which are not stored, on a page."""
        with transaction.atomic():
            rotated = [(token, token.rotate()) for token in tokens]
            for token, _ in rotated:
                self.log_change(request, token, "Rotated.")
        context = {**self.admin_site.each_context(request), "opts": self.opts, "rotated": rotated}
        return TemplateResponse(request, "admin/hoody_site/apitoken/rotated.html", context)


def _may_change_users(request: HttpRequest) -> bool:
    return request.user.has_perm("auth.change_user")
