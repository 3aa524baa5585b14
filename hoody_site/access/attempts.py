"""Limit failed logins and failed API tokens for each client address.

The counts are kept in memory, since one process serves all requests: a failure writes nothing, and the
number of clients has a bound. The alternatives fit less well: django-axes writes a row for each failure,
django-ratelimit needs a shared cache, and DRF's throttles count successful requests as well.
"""

import ipaddress
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from typing import NamedTuple

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

TOO_MANY = "Too many failed attempts from this address; try again later"

_MAX_FAILURES = 10
_WINDOW_SECONDS = 300.0
_MAX_CLIENTS = 10_000
_IPV6_PREFIX_BITS = 64  # a client with one IPv6 address usually has its whole /64 network


class _Failures(NamedTuple):
    number: int
    since: float  # time of the first failure, on the monotonic clock


class Attempts:
    """Count failures by kind (``login`` or ``token``) and client.

    A client may fail ``max_failures`` times within ``window`` seconds. The counts of at most ``max_clients``
    clients are kept; the one with the oldest attempt is dropped first.
    """

    def __init__(
        self,
        max_failures: int = _MAX_FAILURES,
        window: float = _WINDOW_SECONDS,
        max_clients: int = _MAX_CLIENTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_failures = max_failures
        self._window = window
        self._max_clients = max_clients
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: OrderedDict[tuple[str, str], _Failures] = OrderedDict()

    def count(self, kind: str, client: str) -> int:
        """Count an attempt and return 0; once the limit is reached, return the seconds to wait instead."""
        now = self._clock()
        with self._lock:
            failures = self._failures.pop((kind, client), None)
            if failures is None or now - failures.since >= self._window:
                failures = _Failures(0, now)
            wait = failures.since + self._window - now if failures.number >= self._max_failures else 0
            counted = failures if wait else failures._replace(number=failures.number + 1)
            self._failures[kind, client] = counted
            if len(self._failures) > self._max_clients:
                self._failures.popitem(last=False)  # the oldest attempt
        return math.ceil(wait)

    def reset(self, kind: str, client: str) -> None:
        """Forget a client's failures, after an attempt that succeeded."""
        with self._lock:
            self._failures.pop((kind, client), None)


attempts = Attempts()


def client_address(request: HttpRequest) -> str:
    """Return the address that a request comes from; for IPv6, its /64 network.

    Behind a proxy it is the last address of X-Forwarded-For, which the proxy has added itself: the client
    may have sent those before it.
    """
    address = request.META.get("REMOTE_ADDR", "")
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    if settings.HTTPS and forwarded:
        address = forwarded.rpartition(",")[2].strip()
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if parsed.version == 6 and not parsed.ipv4_mapped:
        return str(ipaddress.ip_network((parsed, _IPV6_PREFIX_BITS), strict=False))
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)


def limit_login_attempts(login: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Wrap a login view: once a client has failed too often, answer 429 without checking the password."""

    @wraps(login)
    def view(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if request.method != "POST":
            return login(request, *args, **kwargs)
        client = client_address(request)
        # Count before the password is checked, so that simultaneous attempts can't exceed the limit.
        if wait := attempts.count("login", client):
            context = {**admin.site.each_context(request), "sentence": TOO_MANY}
            response = render(request, "admin/too_many_attempts.html", context, status=429)
            response["Retry-After"] = str(wait)
            return response
        response = login(request, *args, **kwargs)
        if request.user.is_authenticated:
            attempts.reset("login", client)
        return response

    return view
