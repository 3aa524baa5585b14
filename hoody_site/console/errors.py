"""What people see who follow a stale link, or have no permission: a page of the admin with the right status.

Under other addresses errors are JSON (`hoody_site.api.errors`).
"""

from typing import Any

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views import csrf, defaults

_FORBIDDEN = "You don't have the permission to see this page or to do this"
_NOT_FOUND = "There is nothing at this address, or not any more"
_FORGED = "The form is of another page, or older than your login: load its page again, and send it once more"


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request without permission; this is Django's ``handler403``."""
    if not _is_for_page(request):
        return defaults.permission_denied(request, exception)
    return _page(request, 403, "No permission", _FORBIDDEN)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request for what is not there; this is Django's ``handler404``."""
    if not _is_for_page(request):
        return defaults.page_not_found(request, exception)
    return _page(request, 404, "Not found", _sentence_of(exception) or _NOT_FOUND)


def forged(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form without a valid token; this is Django's ``CSRF_FAILURE_VIEW``."""
    if not _is_for_page(request):
        return csrf.csrf_failure(request, reason)
    return _page(request, 403, "Form refused", _FORGED)


def _is_for_page(request: HttpRequest) -> bool:
    """Return whether a request is for a page of the admin, by someone who may see its frame."""
    return request.path_info.startswith("/admin/") and admin.site.has_permission(request)


def _sentence_of(exception: Exception) -> str:
    """Return the sentence that a view gives with Http404; empty for an address that has no view."""
    said = exception.args[0] if exception.args else ""
    # The resolver tells of all addresses that it has tried.
    return said if isinstance(exception, Http404) and isinstance(said, str) else ""


def _page(request: HttpRequest, status: int, title: str, sentence: str) -> HttpResponse:
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": title,
        "sentence": sentence.removesuffix("."),
        "back": _list_of(request),
    }
    return render(request, "admin/error.html", context, status=status)


def _list_of(request: HttpRequest) -> dict[str, str] | None:
    """Return the name and the address of the list that a page belongs to, if the user may see it."""
    model_admin = getattr(getattr(request.resolver_match, "func", None), "model_admin", None)
    if model_admin is None or not model_admin.has_view_permission(request):
        return None
    options = model_admin.opts
    return {
        "name": str(options.verbose_name_plural),
        "url": reverse(f"admin:{options.app_label}_{options.model_name}_changelist"),
    }
