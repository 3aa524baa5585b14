"""The admin's head line, and API tokens: issued, renamed, rotated and revoked, never shown again."""

from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html

from hoody_site.access.models import ApiToken, digest_of, new_token

admin.site.site_header = "Daemon API"
admin.site.site_title = "Daemon API"
admin.site.index_title = "Programs and access"


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin):
    """Whoever holds a token may what its user may. So it takes the permission to change users too,
    with which one could set their passwords as well."""

    list_display = ["name", "user", "created_at", "last_used_at", "expires_at"]
    list_filter = ["user"]
    search_fields = ["name", "user__username"]
    list_select_related = ["user"]
    actions = ["rotate"]

    def get_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> Any:
        asked = ["name", "user", "expires_at"]
        return [*asked, "created_at", "last_used_at"] if obj else asked

    def get_readonly_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> list[str]:
        return ["user", "created_at", "last_used_at"] if obj else []

    def has_view_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:
        return super().has_view_permission(request, obj) and _may(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and _may(request)

    def has_change_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:
        return super().has_change_permission(request, obj) and _may(request)

    def has_delete_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:
        return super().has_delete_permission(request, obj) and _may(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return super().has_module_permission(request) and _may(request)

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        token = new_token()
        obj.digest = digest_of(token)
        super().save_model(request, obj, form, change)
        text = "The token, shown this once: <code>{}</code>"
        messages.success(request, format_html(text, token))

    @admin.action(description="Rotate selected API tokens", permissions=["change"])
    def rotate(self, request: HttpRequest, tokens: QuerySet[ApiToken]) -> HttpResponse:
        """New tokens in the place of the chosen ones, on a page of their own: kept nowhere, shown once."""
        with transaction.atomic():
            rotated = [(token, token.rotate()) for token in tokens]
            for token, _ in rotated:
                self.log_change(request, token, "Rotated.")
        context = {**self.admin_site.each_context(request), "opts": self.opts, "rotated": rotated}
        return TemplateResponse(request, "admin/hoody_site/apitoken/rotated.html", context)


def _may(request: HttpRequest) -> bool:
    return request.user.has_perm("auth.change_user")
