"""Limit failed passwords and failed API tokens, for each client and for each account.

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
from typing import NamedTuple

from django.conf import settings
from django.http import HttpRequest

TOO_MANY = "Too many failed attempts from this address; try again later"
TOO_MANY_PASSWORDS = "Too many failed attempts from this address or for this user; try again later"

_MAX_FAILURES = 10
_WINDOW_SECONDS = 300.0
_MAX_CLIENTS = 10_000
_IPV6_PREFIX_BITS = 64  # a client with one IPv6 address usually has its whole /64 network
_LOOPBACK = "127.0.0.1"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class _Failures(NamedTuple):
    number: int
    since: float  # time of the first failure, on the monotonic clock


class Attempts:
    """Count failures by kind (``login``, ``account`` or ``token``) and by what they are counted for.

    Each may fail ``max_failures`` times within ``window`` seconds. At most ``max_clients`` counts are kept;
    the one with the oldest attempt is dropped first.
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

    def count(self, *counters: tuple[str, str]) -> int:
        """Count an attempt and return 0; if a limit is reached, count nothing and return the seconds to wait.

        A counter is a kind and a client or an account.
        """
        now = self._clock()
        with self._lock:
            wait = max(self._wait(counter, now) for counter in counters)
            for counter in counters:
                failures = self._failures.pop(counter)
                counted = failures if wait else failures._replace(number=failures.number + 1)
                self._failures[counter] = counted
            while len(self._failures) > self._max_clients:
                self._failures.popitem(last=False)  # the oldest attempt
        return math.ceil(wait)

    def reset(self, kind: str, client: str) -> int:
        """Forget the failures of a client or an account, and return how many they were."""
        with self._lock:
            failures = self._failures.pop((kind, client), None)
        return failures.number if failures else 0

    def take_back(self, counter: tuple[str, str], number: int) -> None:
        """Count a number of failures less."""
        with self._lock:
            if failures := self._failures.get(counter):
                self._failures[counter] = failures._replace(number=max(failures.number - number, 0))

    def _wait(self, counter: tuple[str, str], now: float) -> float:
        failures = self._failures.get(counter)
        if failures is None or now - failures.since >= self._window:
            failures = self._failures[counter] = _Failures(0, now)
        return failures.since + self._window - now if failures.number >= self._max_failures else 0


class Familiar:
    """Remember from which clients an account has logged in; ``most`` of them, the latest ones."""

    def __init__(self, most: int = _MAX_CLIENTS) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._known: OrderedDict[str, None] = OrderedDict()

    def add(self, pair: str) -> None:
        """Remember a client of an account."""
        with self._lock:
            self._known[pair] = None
            self._known.move_to_end(pair)
            if len(self._known) > self._most:
                self._known.popitem(last=False)

    def __contains__(self, pair: str) -> bool:
        with self._lock:
            return pair in self._known


attempts = Attempts()
familiar = Familiar()


class PasswordAttempt:
    """An attempt with a password, counted for its client and for its account.

    The account is not counted for a client from which it has logged in before: otherwise failures of others
    would keep its user out. Such a client has its own limit.
    """

    def __init__(self, request: HttpRequest, account: str) -> None:
        client = client_address(request)
        self.client = ("login", client)
        self.account = ("account", account)
        self.pair = f"{client} {account}"

    def count(self) -> int:
        """Count the attempt and return 0; if a limit is reached, return the seconds to wait."""
        counters = [self.client, ("pair", self.pair)]
        if self.pair not in familiar:
            counters.append(self.account)
        return attempts.count(*counters)

    def succeeded(self) -> None:
        """Take back what this client has failed with this account, and nothing else.

        A user must not be able to go on guessing other passwords by logging in with their own in between.
        """
        familiar.add(self.pair)
        number = attempts.reset("pair", self.pair)
        attempts.take_back(self.client, number)
        attempts.take_back(self.account, number)


def client_address(request: HttpRequest) -> str:
    """Return the address that a request comes from; for IPv6, its /64 network. Loopback is one client.

    Behind a proxy it is the last address of X-Forwarded-For that is not a proxy's: the client may have sent
    those before it.
    """
    peer = _address(request.META.get("REMOTE_ADDR", ""))
    client = peer
    hops = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    while client is not None and hops and _is_proxy(client):
        client = _address(hops.pop().strip())
    return _network(client or peer)


def _address(text: str) -> Address | None:
    try:
        parsed = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed


def _is_proxy(address: Address) -> bool:
    if not settings.TRUSTED_PROXIES:
        return settings.HTTPS and address.is_loopback
    return any(address in network for network in settings.TRUSTED_PROXIES)


def _network(address: Address | None) -> str:
    if address is None:
        return ""
    if address.is_loopback:
        return _LOOPBACK
    if address.version == 6:
        return str(ipaddress.ip_network((int(address), _IPV6_PREFIX_BITS), strict=False))
    return str(address)
