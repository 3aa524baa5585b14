"""The admin's head line, and API tokens: issued, renamed and revoked, never shown again."""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils.html import format_html

from hoody_site.models import ApiToken, digest_of

admin.site.site_header = "Daemon API"
admin.site.site_title = "Daemon API"
admin.site.index_title = "Programs and access"


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin):
    """Whoever holds a token may what its user may. So it takes the permission to change users too,
    with which one could set their passwords as well."""

    list_display = ["name", "user", "created_at", "last_used_at"]
    list_filter = ["user"]
    search_fields = ["name", "user__username"]
    list_select_related = ["user"]

    def get_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> Any:
        return ["name", "user", "created_at", "last_used_at"] if obj else ["name", "user"]

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
        token = ApiToken.issue(obj.user, obj.name)
        obj.pk = ApiToken.objects.get(digest=digest_of(token)).pk
        obj.refresh_from_db()
        text = "The token, shown this once: <code>{}</code>"
        messages.success(request, format_html(text, token))


def _may(request: HttpRequest) -> bool:
    return request.user.has_perm("auth.change_user")
