"""Pages for errors within the frame of the admin. Elsewhere errors are JSON (``api/errors.py``)."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404."""
    sentence = "There is nothing at this address. What was here may have been removed."
    return _page(request, 404, "Not found", sentence)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403."""
    sentence = "You do not have the permission to see this page, or to do what you asked for."
    return _page(request, 403, "Not permitted", sentence)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer 403 to a form without a valid token, as of a page from before the last login."""
    sentence = "This form is out of date, or cookies are off. Go back, reload the page and send it again."
    return _page(request, 403, "Form refused", sentence)


def _page(request: HttpRequest, status: int, title: str, sentence: str) -> HttpResponse:
    if not request.path_info.startswith("/admin/"):
        return HttpResponse(status=status)  # becomes JSON
    context = {**admin.site.each_context(request), "title": title, "sentence": sentence}
    return render(request, "admin/error.html", context, status=status)
