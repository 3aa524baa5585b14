"""Whether who has opened a stream may still listen: asked again and again for as long as it is open."""

from collections.abc import Callable, Sequence
from functools import partial

from django.contrib.auth import get_user
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest
from rest_framework.request import Request

from hoody_site.models import ApiToken

Permit = Callable[[], bool]
_User = User | AnonymousUser


def permit_of(request: Request, permissions: Sequence[str]) -> Permit:
    """The question, for the token or the session that a request came with."""
    if isinstance(request.auth, ApiToken):
        user_of = partial(_user_of_token, request.auth.pk, request.auth.digest)
    else:
        user_of = partial(_user_of_session, type(request.session), request.session.session_key)
    return lambda: user_of().has_perms(permissions)


def _user_of_token(id: int, digest: str) -> _User:
    token = ApiToken.objects.select_related("user").filter(pk=id, digest=digest).first()
    if token is None or token.has_expired or not token.user.is_active:
        return AnonymousUser()
    return token.user


def _user_of_session(store: type[SessionBase], key: str | None) -> _User:
    request = HttpRequest()
    request.session = store(key)
    return get_user(request)
