"""The webhooks block of a program: shape, rules, one normal form (contract, section 5).

Addresses are checked here as they are written, in every spelling that a resolver would take for an
address; what a host name resolves to is checked again when something is delivered.
"""

import ipaddress
import re
import socket
import unicodedata
from typing import Any, TypeGuard
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError

EVENTS = ("STARTING", "RUNNING", "BACKOFF", "STOPPING", "STOPPED", "EXITED", "FATAL", "UNKNOWN")
ALL = ("*", "all")
MOST_URLS = 5
MOST_HEADERS = 10
TIMEOUT = (1, 60)
RETRY = (0, 5)
DEFAULTS: dict[str, Any] = {
    "enabled": True,
    "urls": [],
    "events": list(EVENTS),
    "headers": {},
    "timeout": 10,
    "retry": 3,
}

_LONGEST_NAME = 253  # of the domain name system
_LONGEST_URL = 2048
_LONGEST_HEADER = 4096
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_HEADER_VALUE = re.compile(r"([!-~]([\t -~]*[!-~])?)?")
# What the delivery itself says.
_OWN_HEADERS = frozenset({"host", "connection", "content-length", "content-type", "transfer-encoding"})
_NETWORK_LOCATION = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:]+)(:[0-9]{1,5})?")
_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_HOST_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})+")
_LOOPBACK_NAMES = (".localhost", ".localdomain")
_INTERNAL_NAMES = (*_LOOPBACK_NAMES, ".local", ".internal", ".home.arpa", ".metadata.goog")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
# What Python's own tables leave out, or did in its older versions; the last is a metadata service.
_SPECIAL_NETWORKS = [
    ipaddress.ip_network(network)
    for network in ("192.0.0.0/24", "192.88.99.0/24", "2002::/16", "3fff::/20", "168.63.129.16/32")
]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def normal(block: dict[str, Any]) -> dict[str, Any]:
    """The block with every key and each value in its one form; ``block`` must be valid."""
    merged = {**DEFAULTS, **block}
    return {**merged, "events": _event_names(merged["events"])}


def targets(block: dict[str, Any] | None, state: str | None = None) -> list[str]:
    """Where a valid block wants a change to this state delivered, or anything at all; each URL once."""
    if not block:
        return []
    whole = normal(block)
    is_wanted = whole["enabled"] and (state is None or state.upper() in whole["events"])
    return list(dict.fromkeys(whole["urls"])) if is_wanted else []


def merge(old: dict[str, Any] | None, new: dict[str, Any]) -> dict[str, Any]:
    """An edit: keys that are given replace, the others stay."""
    return {**(old or {}), **new}


def check(block: Any) -> None:
    """Raise a ValidationError for whatever is no valid block."""
    if not isinstance(block, dict):
        raise _error("must be an object")
    for key in block:
        if key not in DEFAULTS:
            raise _error(f"has an unknown key '{str(key)[:128]}'")
    whole = {**DEFAULTS, **block}
    if type(whole["enabled"]) is not bool:
        raise _error("enabled must be true or false")
    _check_number("timeout", whole["timeout"], TIMEOUT)
    _check_number("retry", whole["retry"], RETRY)
    _event_names(whole["events"])
    _check_headers(whole["headers"])
    _check_urls(whole["urls"], enabled=whole["enabled"])


def check_address(address: Address) -> None:
    """Raise a ValidationError for an address that is not out on the internet (shared with delivery)."""
    reached = _reached(address)
    if settings.WEBHOOKS_DEVELOPMENT and reached.is_loopback:
        return
    is_special = not reached.is_global or reached.is_multicast or reached.is_reserved
    is_unusual = reached.version == 6 and reached not in _GLOBAL_UNICAST
    if is_special or is_unusual or any(reached in network for network in _SPECIAL_NETWORKS):
        raise _error(f"urls must not point to a private or reserved address: {address}")


def host_of(url: str) -> str:
    """The host of a URL in the form that a resolver is asked for, lower case and ASCII.

    Raises a ValidationError for what is no URL, and for what nothing may be delivered to.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _error(f"urls has an entry that is no URL: '{url}'") from None
    schemes = ("https", "http") if settings.WEBHOOKS_DEVELOPMENT else ("https",)
    if parts.scheme not in schemes:
        raise _error(f"urls must be https: '{url}'")
    if "@" in parts.netloc:
        raise _error("urls must not carry a user name or password")
    location = _NETWORK_LOCATION.fullmatch(parts.netloc)
    if not location or port == 0 or "\\" in url or any(character.isspace() for character in url):
        raise _error(f"urls has an entry that is no URL: '{url}'")
    host = _ascii(location[1])
    if address := _address_of(host):
        check_address(address)
    else:
        _check_name(host.removesuffix("."))
    return host


def _check_number(key: str, value: Any, limits: tuple[int, int]) -> None:
    if type(value) is not int or not limits[0] <= value <= limits[1]:
        raise _error(f"{key} must be an integer between {limits[0]} and {limits[1]}")


def _event_names(events: Any) -> list[str]:
    """All names, in the order of ``EVENTS``, that a name, a list or ``*`` stands for."""
    names = [events] if isinstance(events, str) else events
    if not _are_strings(names) or not names:
        raise _error("events must be a name, a list of names, or '*'")
    for name in names:
        if name.upper() not in EVENTS and name.lower() not in ALL:
            raise _error(f"has an unknown event '{name[:128]}': it must be one of {', '.join(EVENTS)}")
    if any(name.lower() in ALL for name in names):
        return list(EVENTS)
    chosen = {name.upper() for name in names}
    return [name for name in EVENTS if name in chosen]


def _check_headers(headers: Any) -> None:
    if not isinstance(headers, dict) or not _are_strings([*headers, *headers.values()]):
        raise _error("headers must be an object that maps names to strings")
    if len(headers) > MOST_HEADERS:
        raise _error(f"headers must have at most {MOST_HEADERS} entries")
    if len({name.lower() for name in headers}) != len(headers):
        raise _error("headers has a name twice")
    for name, value in headers.items():
        lower = name.lower()
        if not _HEADER_NAME.fullmatch(name) or lower in _OWN_HEADERS or lower.startswith("webhook-"):
            raise _error(f"headers has a name that is not allowed: '{name[:128]}'")
        if not _HEADER_VALUE.fullmatch(value) or len(value) > _LONGEST_HEADER:
            raise _error(f"headers has a value that is not allowed: that of '{name}'")


def _check_urls(urls: Any, *, enabled: bool) -> None:
    if not isinstance(urls, list) or not _are_strings(urls):
        raise _error("urls must be a list of strings")
    if len(urls) > MOST_URLS or (enabled and not urls):
        raise _error(f"urls must have 1 to {MOST_URLS} entries")
    for url in urls:
        if len(url) > _LONGEST_URL or not url.isprintable():
            raise _error("urls has an entry that is no URL")
        if enabled:
            host_of(url)


def _ascii(host: str) -> str:
    """The host without the many ways to write the same letters, digits and dots."""
    try:
        return unicodedata.normalize("NFKC", host).encode("idna").decode().lower()
    except UnicodeError:
        raise _error(f"urls has a host that is no name: '{host}'") from None


def _check_name(name: str) -> None:
    if settings.WEBHOOKS_DEVELOPMENT and f".{name}".endswith(_LOOPBACK_NAMES):
        return
    # With a number at its end it could only be an address, and it is none.
    is_name = (
        _HOST_NAME.fullmatch(name) and len(name) <= _LONGEST_NAME and not _is_number(name.rpartition(".")[2])
    )
    if not is_name or f".{name}".endswith(_INTERNAL_NAMES):
        raise _error(f"urls must not point to a name of this host or network: '{name}'")


def _is_number(label: str) -> bool:
    """Whether it is a number in any script or base."""
    try:
        label = label.encode().decode("idna")
    except UnicodeError:
        return False
    return label.isdecimal() or bool(re.fullmatch(r"0x[0-9a-f]*", label))


def _address_of(host: str) -> Address | None:
    """The address that a host is, however it is spelled: ``127.1``, ``2130706433``, ``0x7f.1``…"""
    if host.startswith("["):
        try:
            return ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            raise _error(f"urls has a host that is no address: '{host}'") from None
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host.removesuffix(".")))
    except OSError:
        return None


def _reached(address: Address) -> Address:
    """The IPv4 address that an IPv6 address is another way to write, or to reach."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped:
        return address.ipv4_mapped
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _are_strings(values: Any) -> TypeGuard[list[str]]:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _error(what: str) -> ValidationError:
    # What it quotes may hold half a surrogate pair, which no answer can.
    return ValidationError(f"Field 'webhooks' {what.encode(errors='replace').decode()}")
