"""System checks that report problems of the set-up, with an id and a hint, before the stack starts."""

import difflib
import re
import ssl
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

# Excludes the characters that supervisord's configuration would expand, or split or cut a value at.
_SAFE_PATH = re.compile(r"[^\s%;#'\"\\,]+")
_MAX_SOCKET_PATH_BYTES = 100  # the kernel accepts 107


@register("environment")
def check_environment(**kwargs: Any) -> list[CheckMessage]:
    """Check that each DAEMON_ variable is known and has a valid value."""
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
    """Check that the file of DAEMON_WEBHOOKS_CA_FILE exists and holds certificates."""
    if not settings.WEBHOOKS_CA_FILE:
        return []
    try:
        ssl.create_default_context().load_verify_locations(cafile=settings.WEBHOOKS_CA_FILE)
    except (OSError, ssl.SSLError) as problem:
        return [
            Error(
                f"The file of DAEMON_WEBHOOKS_CA_FILE, {settings.WEBHOOKS_CA_FILE}, can't be used: "
                f"{problem.strerror}.",
                hint="It must hold CA certificates in PEM format.",
                id="hoody.E005",
            )
        ]
    return []


@register("environment")
def check_hosts_key_file(**kwargs: Any) -> list[CheckMessage]:
    """Check that the file of DAEMON_HOSTS_KEY_FILE, if one is given, holds keys."""
    if not settings.HOSTS_KEY_IS_GIVEN:
        return []
    from cryptography.fernet import Fernet  # which few need

    try:
        keys = [Fernet(line) for line in settings.HOSTS_KEY_FILE.read_text().split()]
        problem = "" if keys else "it is empty"
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or "it does not hold keys of Fernet"
    if not problem:
        return []
    return [
        Error(
            f"The file of DAEMON_HOSTS_KEY_FILE, {settings.HOSTS_KEY_FILE}, can't be used: {problem}.",
            hint="It must hold a key of 32 random bytes in URL-safe base64, or several, one in each line.",
            id="hoody.E006",
        )
    ]


@register("environment")
def check_paths(**kwargs: Any) -> list[CheckMessage]:
    """Check that sockets and supervisord's configuration can hold the paths of state folder and project."""
    errors: list[CheckMessage] = []
    paths = (("The state folder", settings.STATE_DIR), ("The project's folder", settings.BASE_DIR))
    for label, path in paths:
        if not _SAFE_PATH.fullmatch(str(path)):
            errors.append(
                Error(
                    f"{label}, {path}, has a character that supervisord's configuration can't hold.",
                    hint="Use a path without white space, quotes, backslashes, commas and % ; #",
                    id="hoody.E003",
                )
            )
    if len(str(settings.SUPERVISORD_SOCKET).encode()) > _MAX_SOCKET_PATH_BYTES:
        errors.append(
            Error(
                f"The path of the state folder, {settings.STATE_DIR}, is too long for a unix socket in it.",
                hint="Set DAEMON_STATE_DIR to a shorter path, such as /var/lib/daemon-api.",
                id="hoody.E004",
            )
        )
    return errors
