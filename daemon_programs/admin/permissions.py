"""The permission to view comes before any other, on every page of the admin as with every verb of the API."""

from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.auth import get_permission_codename
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse

from daemon_programs.text import printable


class ViewFirst(admin.ModelAdmin):
    """A mixin that asks for the permission to view first, also to learn what is not there.

    Django's own pages show records to users who may change them, and let users delete what they may not see.
    """

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user may view; the permission to change does not include it.

        A page of what others tell has ``needed_to_view``, the permissions to see that where it is.
        """
        codename = get_permission_codename("view", self.opts)
        needed = getattr(self, "needed_to_view", [f"{self.opts.app_label}.{codename}"])
        return request.user.has_perms(needed) and super().has_view_permission(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request) and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_view_permission(request, obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_view_permission(request, obj) and super().has_delete_permission(request, obj)

    def _get_obj_does_not_exist_redirect(
        self, request: HttpRequest, opts: Any, object_id: str
    ) -> HttpResponse:
        """Answer a stale link with 404. Django would lead to the first page, with a message."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        shown = printable(unquote(object_id))
        raise Http404(f"There is no {opts.verbose_name} with the id “{shown}”: perhaps it was removed")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request) and super().has_module_permission(request)


def ask_for_view_first(site: admin.AdminSite) -> None:
    """Mix ``ViewFirst`` into all pages of a site, those of Django and of the queue included."""
    for model in apps.get_models():
        if site.is_registered(model):
            page = type(site.get_model_admin(model))
            site.unregister(model)
            site.register(model, type(page.__name__, (ViewFirst, page), {}))
