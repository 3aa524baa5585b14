"""Keep browser sessions to the host names that are for them.

Browsers send a cookie to every port of the host that has set it, and so to every web server that a program
runs there. With the cookie of an administrator it could run anything. Therefore a session is valid under a
host name of its own, which is made at the first start and can't be guessed, and under names that the
settings add; not under those of loopback, which programs share. Tokens are valid under each name.
"""

from django.conf import settings
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest
from django.http.request import split_domain_port, validate_host


def is_for_sessions(request: HttpRequest) -> bool:
    """Return whether sessions are valid under the host name of a request."""
    host, _ = split_domain_port(request.get_host())
    return validate_host(host, settings.SESSION_HOSTS)


class OwnHostSessionMiddleware(SessionMiddleware):
    """Ignore the session cookie of a request to a host name that is not for sessions."""

    def process_request(self, request: HttpRequest) -> None:
        """Give the request its session, or a new one that is empty."""
        if settings.SESSION_COOKIE_NAME in request.COOKIES and not is_for_sessions(request):
            del request.COOKIES[settings.SESSION_COOKIE_NAME]
        super().process_request(request)
