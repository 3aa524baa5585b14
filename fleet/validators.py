"""The rules for the fields of a host, each with its error message."""

import re
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError

INVITED_SECONDS = (60, 86_400)  # how long a code for a host is valid

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")
# What stands in the place of a name in a route.
_ROUTES = ("add", "edit", "invite", "join", "remove")
_TOKEN = re.compile(r"[!-~]{1,500}")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")


def check_name(name: str) -> None:
    """Require a name that can stand in a path and in a command line as it is."""
    if len(name) > 63 or not _NAME.fullmatch(name):
        raise ValidationError(
            "Field 'name' must have at most 63 lower-case letters, digits, '-' and '.', a letter or digit "
            "first and last"
        )
    if name in _ROUTES:
        raise ValidationError(f"Field 'name' must not be one of these words: {', '.join(_ROUTES)}")


def check_url(url: str) -> None:
    """Require an address of HTTP or HTTPS without a path, a query or a password."""
    try:
        parts = urlsplit(url)
        is_usable = (
            url.isascii()
            and url.isprintable()
            and parts.scheme in ("http", "https")
            and bool(_HOST.fullmatch(parts.hostname or ""))
            and parts.port != 0
            and parts.username is None
            and not parts.path.strip("/")
            and not parts.query
            and not parts.fragment
            and "?" not in url
            and "#" not in url
        )
    except ValueError:
        is_usable = False
    if not is_usable:
        raise ValidationError("Field 'url' must be an address such as https://web-1.example.com:8000")


def check_ca(text: str) -> None:
    """Require certificates in the PEM format, or nothing."""
    if not text.strip():
        return
    import ssl  # which takes long to load, and a stack without hosts doesn't need

    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=text)
        is_usable = bool(context.get_ca_certs())
    except (ssl.SSLError, ValueError, TypeError):  # the last one for what is not ASCII
        is_usable = False
    if not is_usable or "PRIVATE KEY" in text:
        raise ValidationError("Field 'ca' must be the certificates of an authority in the PEM format")


def check_token(text: str) -> None:
    """Require what can stand in a header. The message doesn't repeat it."""
    if not _TOKEN.fullmatch(text):
        raise ValidationError("Field 'token' must be an API token: at most 500 characters, without blanks")
