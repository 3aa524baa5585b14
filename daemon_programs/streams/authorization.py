"""Check whether the client of an open stream is still authorized.

A stream may stay open for days, so the check is repeated while it is.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, cast

from django.contrib.auth import get_user
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest
from rest_framework.request import Request

Authorization = Callable[[], bool]
AnyUser = User | AnonymousUser


class Credentials(Protocol):
    """What a request other than a session's was authenticated with: see `BearerAuthentication`."""

    def current_user(self) -> AnyUser:
        """Return the user that the credentials identify now; anonymous once they are revoked."""


def authorization_of(request: Request, permissions: Sequence[str]) -> Authorization:
    """Return the check for the token or the session that a request came with."""
    if request.auth is not None:
        current_user = cast(Credentials, request.auth).current_user
    else:
        current_user = partial(_user_of_session, type(request.session), request.session.session_key)
    return lambda: current_user().has_perms(permissions)


def _user_of_session(store: type[SessionBase], key: str | None) -> AnyUser:
    request = HttpRequest()
    request.session = store(key)
    return get_user(request)
