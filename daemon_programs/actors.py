"""Who asks for a change: told to supervisord with each call, so that the history can say it.

An actor is a word, and behind a colon the user if there is one: ``api:alice``, ``admin:alice``,
``command``, ``daemon`` (the daemon itself: reconciliation, clean-up). The plugin has words of its own:
``boot``, ``ttl``, ``shutdown`` and ``supervisord``, for what follows from the program's configuration.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse

DAEMON = "daemon"
COMMAND = "command"

_current: ContextVar[Callable[[], str]] = ContextVar("actor")


def current() -> str:
    """Who acts at the moment."""
    describe = _current.get(None)
    return describe() if describe else DAEMON


@contextmanager
def acting(describe: Callable[[], str]) -> Iterator[None]:
    """Whatever is asked for in this block, ``describe()`` asks for."""
    token = _current.set(describe)
    try:
        yield
    finally:
        _current.reset(token)


class ActorMiddleware:
    """Whoever sends a request acts while it is served; who that is, is known once it is authenticated."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with acting(lambda: _describe(request)):
            return self.get_response(request)


def _describe(request: HttpRequest) -> str:
    word = "admin" if request.path_info.startswith("/admin/") else "api"
    return f"{word}:{request.user.get_username()}"
