"""Which hosts may be probed: loopback, and those that the setting DAEMON_PROBE_HOSTS names."""

import ipaddress
from collections.abc import Iterable

LOCALHOST = "localhost"
_LOOPBACK = ("127.0.0.1", "::1")


def may_be_probed(host: str, allowed: Iterable[str]) -> bool:
    """Return whether a host may be probed: one on loopback, or one that is allowed, by name or network."""
    if host == LOCALHOST or host in allowed:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.is_loopback or any(address in network for network in _networks(allowed))


def addresses_of(host: str) -> tuple[str, ...]:
    """Return what to connect to for a host. ``localhost`` is not looked up: it may lead elsewhere."""
    return _LOOPBACK if host == LOCALHOST else (host,)


def _networks(allowed: Iterable[str]) -> Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    for text in allowed:
        try:
            yield ipaddress.ip_network(text)
        except ValueError:
            continue  # a name
