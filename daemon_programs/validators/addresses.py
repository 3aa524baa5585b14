"""Check that webhooks only go to the public internet (docs/contract.md, section 5).

An address is recognized in every spelling that a resolver would take for one. What a host name resolves to
is checked again at each delivery.
"""

import ipaddress
import re
import socket
import unicodedata
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError

from daemon_programs.text import encodable

_MAX_NAME_LENGTH = 253  # in the domain name system
_NETWORK_LOCATION = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:]+)(:[0-9]{1,5})?")
_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_HOST_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})+")
_LOOPBACK_NAMES = (".localhost", ".localdomain")
_INTERNAL_NAMES = (*_LOOPBACK_NAMES, ".local", ".internal", ".home.arpa", ".metadata.goog")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
# Networks that Python's tables lack, or lacked in older versions. The last is a cloud's metadata service.
_SPECIAL_NETWORKS = [
    ipaddress.ip_network(network)
    for network in ("192.0.0.0/24", "192.88.99.0/24", "2002::/16", "3fff::/20", "168.63.129.16/32")
]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def check_address(address: Address) -> None:
    """Raise a ValidationError for an address that is not on the public internet.

    Deliveries use it as well, for the addresses that a host name resolves to.
    """
    reached = _reached(address)
    if settings.WEBHOOKS_DEVELOPMENT and reached.is_loopback:
        return
    is_special = not reached.is_global or reached.is_multicast or reached.is_reserved
    is_unusual = reached.version == 6 and reached not in _GLOBAL_UNICAST
    if is_special or is_unusual or any(reached in network for network in _SPECIAL_NETWORKS):
        raise webhooks_error(f"urls must not point to a private or reserved address: {address}")


def host_of(url: str) -> str:
    """Return the host of a URL in the form that a resolver takes: lower case and ASCII.

    Raise a ValidationError for text that is not a URL, and for a host that webhooks must not go to.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise webhooks_error(f"urls has an entry that is no URL: '{url}'") from None
    schemes = ("https", "http") if settings.WEBHOOKS_DEVELOPMENT else ("https",)
    if parts.scheme not in schemes:
        raise webhooks_error(f"urls must be https: '{url}'")
    if "@" in parts.netloc:
        raise webhooks_error("urls must not carry a user name or password")
    location = _NETWORK_LOCATION.fullmatch(parts.netloc)
    if not location or port == 0 or "\\" in url or any(character.isspace() for character in url):
        raise webhooks_error(f"urls has an entry that is no URL: '{url}'")
    host = _ascii(location[1])
    if address := _address_of(host):
        check_address(address)
    else:
        _check_name(host.removesuffix("."))
    return host


def _ascii(host: str) -> str:
    """Return the host in ASCII: Unicode has many spellings of the same letters, digits and dots."""
    try:
        return unicodedata.normalize("NFKC", host).encode("idna").decode().lower()
    except UnicodeError:
        raise webhooks_error(f"urls has a host that is no name: '{host}'") from None


def _check_name(name: str) -> None:
    if settings.WEBHOOKS_DEVELOPMENT and f".{name}".endswith(_LOOPBACK_NAMES):
        return
    # A resolver takes a name that ends in a number for an address, and this one is not valid.
    is_name = (
        _HOST_NAME.fullmatch(name)
        and len(name) <= _MAX_NAME_LENGTH
        and not _is_number(name.rpartition(".")[2])
    )
    if not is_name or f".{name}".endswith(_INTERNAL_NAMES):
        raise webhooks_error(f"urls must not point to a name of this host or network: '{name}'")


def _is_number(label: str) -> bool:
    """Return whether a label is a number, in any script or base."""
    try:
        label = label.encode().decode("idna")
    except UnicodeError:
        return False
    return label.isdecimal() or bool(re.fullmatch(r"0x[0-9a-f]*", label))


def _address_of(host: str) -> Address | None:
    """Return the address that a host spells (``127.1``, ``2130706433``, ``0x7f.1``…); None for a name."""
    if host.startswith("["):
        try:
            return ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            raise webhooks_error(f"urls has a host that is no address: '{host}'") from None
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host.removesuffix(".")))
    except OSError:
        return None


def _reached(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address maps or translates to; other addresses unchanged."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped:
        return address.ipv4_mapped
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def webhooks_error(sentence: str) -> ValidationError:
    """Return a ValidationError about the field ``webhooks``; the sentence goes on after the field's name."""
    return ValidationError(f"Field 'webhooks' {encodable(sentence)}")
