"""System checks: what is wrong with the set-up is said with an id and a hint, before anything starts."""

import difflib
import re
import ssl
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

# supervisord's configuration would expand, cut or split what holds other characters.
_SAFE_PATH = re.compile(r"[^\s%;#'\"\\,]+")
_LONGEST_SOCKET_PATH = 100  # the kernel takes 107 bytes


@register("environment")
def check_environment(**kwargs: Any) -> list[CheckMessage]:
    """Each DAEMON_ variable must be known and have a value that can be used."""
    errors: list[CheckMessage] = [
        Error(
            f"{name}: {' '.join(messages)}",
            hint="See docs/settings.md, or unset it for the default.",
            id="hoody.E001",
        )
        for name, messages in settings.ENVIRONMENT_PROBLEMS.items()
    ]
    for name in settings.UNKNOWN_VARIABLES:
        close = difflib.get_close_matches(name, settings.DOCUMENTED, n=1)
        errors.append(
            Error(
                f"{name} is not a setting of this project.",
                hint=f"Did you mean {close[0]}?" if close else "docs/settings.md lists all of them.",
                id="hoody.E002",
            )
        )
    return errors


@register("environment")
def check_webhooks_ca_file(**kwargs: Any) -> list[CheckMessage]:
    """What receivers of webhooks are verified with must be there, and be certificates."""
    if not settings.WEBHOOKS_CA_FILE:
        return []
    try:
        ssl.create_default_context().load_verify_locations(cafile=settings.WEBHOOKS_CA_FILE)
    except (OSError, ssl.SSLError) as problem:
        return [
            Error(
                f"The file of DAEMON_WEBHOOKS_CA_FILE, {settings.WEBHOOKS_CA_FILE}, can't be used: "
                f"{problem.strerror}.",
                hint="It must hold the certificates of authorities, in PEM.",
                id="hoody.E005",
            )
        ]
    return []


@register("environment")
def check_paths(**kwargs: Any) -> list[CheckMessage]:
    """The state folder and the project must lie where sockets and configuration can name them."""
    errors: list[CheckMessage] = []
    for what, path in (("The state folder", settings.STATE_DIR), ("The project's folder", settings.BASE_DIR)):
        if not _SAFE_PATH.fullmatch(str(path)):
            errors.append(
                Error(
                    f"{what}, {path}, has a character that supervisord's configuration can't carry.",
                    hint="Use a path without white space, quotes, backslashes, commas and % ; #",
                    id="hoody.E003",
                )
            )
    if len(str(settings.SUPERVISORD_SOCKET).encode()) > _LONGEST_SOCKET_PATH:
        errors.append(
            Error(
                f"The path of the state folder, {settings.STATE_DIR}, is too long for a unix socket in it.",
                hint="Set DAEMON_STATE_DIR to a shorter path, such as /var/lib/daemon-api.",
                id="hoody.E004",
            )
        )
    return errors
