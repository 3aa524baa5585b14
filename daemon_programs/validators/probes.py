"""Validate ``ready`` and ``health``: their shapes, and where a probe may lead."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError

from daemon_programs.supervisor.instances import NUMBER, PORT, Key, Keys
from daemon_programs.supervisor.prober.hosts import may_be_probed
from daemon_programs.supervisor.probes import KINDS, NONE, RESTART
from daemon_programs.text import encodable, printable, split_words
from daemon_programs.validators import rules

PATTERN_LENGTH = 1000
TEXT_LENGTH = 4096
_LIMITS = {
    "interval": (1, 3600),
    "timeout": (1, 300),
    "after_seconds": (0, 3600),
    "successes": (1, 100),
    "failures": (1, 100),
    "grace_seconds": (0, 86400),
    "status": (100, 599),
}
_OF_LOOKS = frozenset({"interval", "timeout", "after_seconds", "successes"})
_OF_HEALTH = frozenset({"failures", "grace_seconds", "action"})
_URL_CHARACTERS = re.compile(r"[!-~]+")


def check_ready(ready: Any) -> None:
    """Require a probe, as the field ``ready`` has it."""
    _check_probe("ready", ready)


def check_health(health: Any) -> None:
    """Require a probe, as the field ``health`` has it."""
    _check_probe("health", health)


def check_placeholders(field: str, probe: dict[str, Any], keys: Keys | None) -> None:
    """Refuse placeholders in the address of a valid probe that the keys of the program don't replace."""
    target = probe.get("port", probe.get("http"))
    if not isinstance(target, str):
        return
    for kind, requires in ((PORT, "port_range"), (NUMBER, "numprocs")):
        if kind.placeholder in target and (keys is None or keys.kind is not kind):
            raise ValidationError(
                f"Field '{field}' contains {kind.placeholder}, which requires {requires} to be set"
            )
    if keys is not None and keys.kind is NUMBER:
        _check_http(field, Key(NUMBER, keys.last).fill(target))  # a longer number may make it invalid


def _check_probe(field: str, probe: Any) -> None:
    if not isinstance(probe, dict):
        raise ValidationError(f"Field '{field}' must be an object")
    kinds = [kind for kind in KINDS if kind in probe and (field, kind) != ("health", "log")]
    if len(kinds) != 1:
        allowed = [kind for kind in KINDS if (field, kind) != ("health", "log")]
        raise ValidationError(f"Field '{field}' must have exactly one of: {', '.join(allowed)}")
    kind = kinds[0]
    for key in probe:
        if key not in {*KINDS, *_LIMITS, "action"}:
            raise ValidationError(f"Field '{field}' has an unknown key: '{printable(key)}'")
        if key not in {kind, *_keys_of(field, kind)}:
            raise ValidationError(f"Field '{field}' can't have '{key}' together with '{kind}'")
    _CHECKS[kind](field, probe[kind])
    for key, (low, high) in _LIMITS.items():
        if key in probe and (type(probe[key]) is not int or not low <= probe[key] <= high):
            raise ValidationError(f"Field '{field}': '{key}' must be an integer between {low} and {high}")
    if probe.get("action", RESTART) not in (RESTART, NONE):
        raise ValidationError(f"Field '{field}': 'action' must be one of: {RESTART}, {NONE}")


def _keys_of(field: str, kind: str) -> frozenset[str]:
    """Return which keys a probe may have, beside the one of its kind."""
    if kind in ("log", "notify"):  # nobody looks: the program tells
        return frozenset({"interval"}) | _OF_HEALTH if field == "health" else frozenset()
    keys = _OF_LOOKS | _OF_HEALTH if field == "health" else _OF_LOOKS
    return keys | {"status"} if kind == "http" else keys


def _check_port(field: str, port: Any) -> None:
    low, high = rules.PORTS
    if port != PORT.placeholder and (type(port) is not int or not low <= port <= high):
        raise ValidationError(
            f"Field '{field}': 'port' must be between {low} and {high}, or \"{PORT.placeholder}\""
        )


def _check_http(field: str, url: Any) -> None:
    example = f"such as http://127.0.0.1:{PORT.placeholder}/healthz"
    if not _is_text(url) or not _URL_CHARACTERS.fullmatch(url) or len(url) > TEXT_LENGTH:
        raise ValidationError(f"Field '{field}': 'http' must be a URL {example}")
    try:
        parts = urlsplit(url.replace(PORT.placeholder, "1").replace(NUMBER.placeholder, "1"))
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or port == 0 or parts.scheme != "http" or parts.fragment or "@" in parts.netloc:
        raise ValidationError(f"Field '{field}': 'http' must be a URL {example}")
    if not may_be_probed(host, settings.PROBE_HOSTS):
        raise ValidationError(
            f"Field '{field}': 'http' must lead to this host, and '{host}' is none of its names "
            "(DAEMON_PROBE_HOSTS)"
        )


def _check_command(field: str, command: Any) -> None:
    if not _is_text(command) or len(command) > TEXT_LENGTH or any(each in command for each in "\n\r\0"):
        raise ValidationError(
            f"Field '{field}': 'command' must be a command line of at most {TEXT_LENGTH} characters, "
            "without line breaks"
        )
    try:
        words = split_words(command)
    except ValueError as problem:
        raise ValidationError(
            f"Field '{field}': 'command' can't be split into arguments: {str(problem).lower()}"
        ) from None
    if not words or not words[0].strip():
        raise ValidationError(f"Field '{field}': 'command' must not be empty")


def _check_log(field: str, pattern: Any) -> None:
    if not _is_text(pattern) or not 1 <= len(pattern) <= PATTERN_LENGTH:
        raise ValidationError(
            f"Field '{field}': 'log' must be a regular expression of at most {PATTERN_LENGTH} characters"
        )
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as problem:
        raise ValidationError(f"Field '{field}': 'log' is no regular expression: {problem}") from None


def _check_notify(field: str, notify: Any) -> None:
    if notify is not True:
        raise ValidationError(f"Field '{field}': 'notify' must be true")


_CHECKS: dict[str, Callable[[str, Any], None]] = {
    "port": _check_port,
    "http": _check_http,
    "command": _check_command,
    "log": _check_log,
    "notify": _check_notify,
}


def _is_text(value: Any) -> bool:
    """Return whether a value is text that files and programs can take."""
    return isinstance(value, str) and "\0" not in value and encodable(value) == value
