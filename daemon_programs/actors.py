"""Keep track of the actor, who requests a change. supervisord gets it with each call, for the history.

An actor is a word, followed by a colon and the user if there is one: ``api:alice``, ``admin:alice``,
``command``, ``daemon`` (the daemon itself: reconciliation, clean-up). A hub asks as a user of its own, and
says for which person: ``api:hub for alice``. For changes that were not requested but follow from a program's
configuration, the plugin uses ``boot``, ``ttl``, ``shutdown``, ``supervisord`` and the reasons of restarts:
see `ProgramProcess.restart_because`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from urllib.parse import unquote

from django.http import HttpRequest, HttpResponse

DAEMON = "daemon"
COMMAND = "command"
# The person that a user asks for, percent-encoded. Anyone can send it, so it gives no permission, and stands
# behind the user in the history.
BEHALF_HEADER = "On-Behalf-Of"
_MOST_CHARACTERS = 150  # of `Event.user`

_current: ContextVar[Callable[[], str]] = ContextVar("actor")


def current() -> str:
    """Return the actor of the running request or command; the daemon itself if there is none."""
    describe = _current.get(None)
    return describe() if describe else DAEMON


def user() -> str:
    """Return the user of the running request, with the person that it is for; empty if there is none."""
    return current().partition(":")[2]


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
    user = request.user.get_username()
    if request.path_info.startswith("/admin/"):
        return f"admin:{user}"
    person = _printable(unquote(request.headers.get(BEHALF_HEADER, "")))
    if person and request.user.is_authenticated:
        user = f"{user} for {person}"[:_MOST_CHARACTERS]
    return f"api:{user}"


def _printable(text: str) -> str:
    """Return a text in one line, without what shows as something else than it is."""
    return "".join(filter(str.isprintable, text)).strip()
