"""The schema of a program's webhook config, for the OpenAPI document and the admin's form."""

import re
from typing import Any

from daemon_programs.validators import webhook_config


def _in_any_case(*words: str) -> str:
    letters = (
        "".join(f"[{c.upper()}{c.lower()}]" if c.isalpha() else re.escape(c) for c in word) for word in words
    )
    return f"^({'|'.join(letters)})$"


def _between(limits: tuple[int, int], default: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": limits[0], "maximum": limits[1], "default": default}


_EVENT = {"type": "string", "pattern": _in_any_case(*webhook_config.EVENTS, *webhook_config.ALL)}

WEBHOOK_PROPERTIES: dict[str, Any] = {
    "enabled": {"type": "boolean", "default": True},
    "urls": {
        "type": "array",
        "maxItems": webhook_config.MAX_URLS,
        "items": {"type": "string", "maxLength": 2048},
        "description": "At least one if `enabled`. https only, and not to a private address.",
    },
    "events": {"oneOf": [_EVENT, {"type": "array", "minItems": 1, "items": _EVENT}], "default": "*"},
    "headers": {
        "type": "object",
        "maxProperties": webhook_config.MAX_HEADERS,
        "additionalProperties": {"type": "string", "pattern": r"^[\t\u0020-\u007e]*$", "maxLength": 4096},
    },
    "timeout": _between(webhook_config.TIMEOUT, default=10),
    "retry": _between(webhook_config.RETRY, default=3),
}
