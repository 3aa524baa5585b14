"""Failed logins and tokens: a limit for each client address, so that nobody can try for ever.

In memory, since there is one process: nothing is written for somebody who only fails, and what is
remembered has a bound. django-axes writes a row for each failure, django-ratelimit needs a shared
cache, DRF's throttles count what succeeds as well.
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

_MOST_FAILURES = 10
_WINDOW_SECONDS = 300.0
_MOST_CLIENTS = 10_000
_NETWORK_OF_ONE = 64  # bits: whoever has one IPv6 address has all of its network


class _Failures(NamedTuple):
    number: int
    since: float  # of the first one; monotonic


class Attempts:
    """Failures by kind and client. ``count`` answers with the seconds to wait, or 0; ``forget`` clears."""

    def __init__(
        self,
        most: int = _MOST_FAILURES,
        window: float = _WINDOW_SECONDS,
        most_clients: int = _MOST_CLIENTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._window = window
        self._most_clients = most_clients
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: OrderedDict[tuple[str, str], _Failures] = OrderedDict()

    def count(self, kind: str, client: str) -> int:
        """Count an attempt; how long to wait if it is one too many, which is not counted."""
        now = self._clock()
        with self._lock:
            failures = self._failures.pop((kind, client), None)
            if failures is None or now - failures.since >= self._window:
                failures = _Failures(0, now)
            wait = failures.since + self._window - now if failures.number >= self._most else 0
            counted = failures if wait else failures._replace(number=failures.number + 1)
            self._failures[kind, client] = counted
            if len(self._failures) > self._most_clients:
                self._failures.popitem(last=False)  # who has not tried for longest
        return math.ceil(wait)

    def forget(self, kind: str, client: str) -> None:
        """One has succeeded: what failed before was a slip."""
        with self._lock:
            self._failures.pop((kind, client), None)


attempts = Attempts()


def client_of(request: HttpRequest) -> str:
    """The address that a request comes from. Behind a proxy it is the one that the proxy has added last:
    what stands before it, anybody can have written."""
    address = request.META.get("REMOTE_ADDR", "")
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    if settings.HTTPS and forwarded:
        address = forwarded.rpartition(",")[2].strip()
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if parsed.version == 6 and not parsed.ipv4_mapped:
        return str(ipaddress.ip_network((parsed, _NETWORK_OF_ONE), strict=False))
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)


def limited(login: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """A login page that refuses those who have failed too often, before a password is looked at."""

    @wraps(login)
    def view(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if request.method != "POST":
            return login(request, *args, **kwargs)
        client = client_of(request)
        # Counted before it is known to fail: many at the same moment are many.
        if wait := attempts.count("login", client):
            context = {**admin.site.each_context(request), "sentence": TOO_MANY}
            response = render(request, "admin/too_many_attempts.html", context, status=429)
            response["Retry-After"] = str(wait)
            return response
        response = login(request, *args, **kwargs)
        if request.user.is_authenticated:
            attempts.forget("login", client)
        return response

    return view
