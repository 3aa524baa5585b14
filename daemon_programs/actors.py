"""Keep track of the actor, who requests a change. supervisord gets it with each call, for the history.

An actor is a word, followed by a colon and the user if there is one: ``api:alice``, ``admin:alice``,
``command``, ``daemon`` (the daemon itself: reconciliation, clean-up). For changes that were not requested
but follow from a program's configuration, the plugin uses ``boot``, ``ttl``, ``shutdown``, ``supervisord``
and the reasons of restarts: see `ProgramProcess.restart_because`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse

DAEMON = "daemon"
COMMAND = "command"

_current: ContextVar[Callable[[], str]] = ContextVar("actor")


def current() -> str:
    """Return the actor of the running request or command; the daemon itself if there is none."""
    describe = _current.get(None)
    return describe() if describe else DAEMON


@contextmanager
def acting(describe: Callable[[], str]) -> Iterator[None]:
    """Make ``describe()`` the actor of all changes in this block."""
    token = _current.set(describe)
    try:
        yield
    finally:
        _current.reset(token)


class ActorMiddleware:
    """Make the user of a request its actor. Determined late: the user is authenticated in the view."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with acting(lambda: _describe(request)):
            return self.get_response(request)


def _describe(request: HttpRequest) -> str:
    word = "admin" if request.path_info.startswith("/admin/") else "api"
    return f"{word}:{request.user.get_username()}"
