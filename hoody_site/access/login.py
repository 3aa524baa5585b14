"""The pages that check a password: the login and the change of one's password. Both are limited."""

from collections.abc import Callable
from functools import wraps

from django.contrib import admin
from django.contrib.auth import authenticate
from django.contrib.auth.forms import UsernameField
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from hoody_site.access.attempts import TOO_MANY_PASSWORDS, PasswordAttempt, client_address
from hoody_site.access.failures import failure_log
from hoody_site.access.hosts import is_for_sessions

# Reads a name as the login form does, so that its other spellings count for the same account.
_USERNAME = UsernameField(required=False, max_length=User._meta.get_field("username").max_length)

View = Callable[..., HttpResponse]


def limited(account_of: Callable[[HttpRequest], str]) -> Callable[[View], View]:
    """Wrap a view that checks a password: after too many failures, answer 429 without checking it."""

    def decorate(page: View) -> View:
        @wraps(page)
        def view(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
            if request.method != "POST":
                return page(request, *args, **kwargs)
            attempt = PasswordAttempt(request, account_of(request))
            # Count before the password is checked, so that simultaneous attempts can't exceed the limit.
            if wait := attempt.count():
                failure_log.add("refused attempts with a password", client_address(request))
                return _too_many(request, wait)
            request.password_attempt = attempt  # type: ignore[attr-defined]  # for the signals of a login
            return page(request, *args, **kwargs)

        return view

    return decorate


def _too_many(request: HttpRequest, wait: int) -> HttpResponse:
    context = {**admin.site.each_context(request), "sentence": TOO_MANY_PASSWORDS}
    response = render(request, "admin/too_many_attempts.html", context, status=429)
    response["Retry-After"] = str(wait)
    return response


def at_own_host(page: View) -> View:
    """Wrap the login: under a host name that is not for sessions, say so instead."""

    @wraps(page)
    def view(request: HttpRequest) -> HttpResponse:
        if is_for_sessions(request):
            return page(request)
        return render(request, "admin/own_address.html", admin.site.each_context(request), status=403)

    return view


@at_own_host
@limited(lambda request: str(_USERNAME.to_python(request.POST.get("username", ""))))
def login(request: HttpRequest) -> HttpResponse:
    """Answer with the admin's login page."""
    return admin.site.login(request)


@limited(lambda request: request.user.get_username())
def password_change(request: HttpRequest) -> HttpResponse:
    """Answer with the admin's page that changes the user's own password.

    The old password is checked here as at a login, so that a failure counts and is logged as one; Django's
    form checks it without signals.
    """
    if request.method == "POST":
        old = request.POST.get("old_password", "")
        if authenticate(request, username=request.user.get_username(), password=old) == request.user:
            request.password_attempt.succeeded()  # type: ignore[attr-defined]
    return admin.site.password_change(request)
