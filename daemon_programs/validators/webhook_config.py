"""Validate and normalize the webhook config of a program (docs/contract.md, section 5)."""

import re
from typing import Any, TypeGuard

from daemon_programs.validators.addresses import host_of, webhooks_error

EVENTS = ("STARTING", "RUNNING", "BACKOFF", "STOPPING", "STOPPED", "EXITED", "FATAL", "UNKNOWN")
ALL = ("*", "all")
MAX_URLS = 5
MAX_HEADERS = 10
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

_MAX_URL_LENGTH = 2048
_MAX_HEADER_LENGTH = 4096
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_HEADER_VALUE = re.compile(r"([!-~]([\t -~]*[!-~])?)?")
# Headers that the delivery sets itself.
_RESERVED_HEADERS = frozenset({"host", "connection", "content-length", "content-type", "transfer-encoding"})


def normalize(config: dict[str, Any]) -> dict[str, Any]:
    """Return a valid config with all keys, and with ``events`` as a list of names."""
    merged = {**DEFAULTS, **config}
    return {**merged, "events": _event_names(merged["events"])}


def targets(config: dict[str, Any] | None, state: str | None = None) -> list[str]:
    """Return the URLs, each once, to which a valid config delivers changes to a state, or any changes."""
    if not config:
        return []
    whole = normalize(config)
    is_wanted = whole["enabled"] and (state is None or state.upper() in whole["events"])
    return list(dict.fromkeys(whole["urls"])) if is_wanted else []


def merge(old: dict[str, Any] | None, new: dict[str, Any]) -> dict[str, Any]:
    """Return the config after an edit: the keys of ``new`` replace those of ``old``."""
    return {**(old or {}), **new}


def check(config: Any) -> None:
    """Raise a ValidationError if the webhook config is not valid."""
    if not isinstance(config, dict):
        raise webhooks_error("must be an object")
    for key in config:
        if key not in DEFAULTS:
            raise webhooks_error(f"has an unknown key '{str(key)[:128]}'")
    whole = {**DEFAULTS, **config}
    if type(whole["enabled"]) is not bool:
        raise webhooks_error("enabled must be true or false")
    _check_number("timeout", whole["timeout"], TIMEOUT)
    _check_number("retry", whole["retry"], RETRY)
    _event_names(whole["events"])
    _check_headers(whole["headers"])
    _check_urls(whole["urls"], enabled=whole["enabled"])


def _check_number(key: str, value: Any, limits: tuple[int, int]) -> None:
    if type(value) is not int or not limits[0] <= value <= limits[1]:
        raise webhooks_error(f"{key} must be an integer between {limits[0]} and {limits[1]}")


def _event_names(events: Any) -> list[str]:
    """Return the names, in the order of ``EVENTS``, that a name, a list or ``*`` selects."""
    names = [events] if isinstance(events, str) else events
    if not _are_strings(names) or not names:
        raise webhooks_error("events must be a name, a list of names, or '*'")
    for name in names:
        if name.upper() not in EVENTS and name.lower() not in ALL:
            raise webhooks_error(
                f"has an unknown event '{name[:128]}': it must be one of {', '.join(EVENTS)}"
            )
    if any(name.lower() in ALL for name in names):
        return list(EVENTS)
    chosen = {name.upper() for name in names}
    return [name for name in EVENTS if name in chosen]


def _check_headers(headers: Any) -> None:
    if not isinstance(headers, dict) or not _are_strings([*headers, *headers.values()]):
        raise webhooks_error("headers must be an object that maps names to strings")
    if len(headers) > MAX_HEADERS:
        raise webhooks_error(f"headers must have at most {MAX_HEADERS} entries")
    if len({name.lower() for name in headers}) != len(headers):
        raise webhooks_error("headers has a name twice")
    for name, value in headers.items():
        lower = name.lower()
        if not _HEADER_NAME.fullmatch(name) or lower in _RESERVED_HEADERS or lower.startswith("webhook-"):
            raise webhooks_error(f"headers has a name that is not allowed: '{name[:128]}'")
        if len(value) > _MAX_HEADER_LENGTH or not _HEADER_VALUE.fullmatch(value):
            raise webhooks_error(f"headers has a value that is not allowed: that of '{name}'")


def _check_urls(urls: Any, *, enabled: bool) -> None:
    if not isinstance(urls, list) or not _are_strings(urls):
        raise webhooks_error("urls must be a list of strings")
    if len(urls) > MAX_URLS or (enabled and not urls):
        raise webhooks_error(f"urls must have 1 to {MAX_URLS} entries")
    for url in urls:
        if len(url) > _MAX_URL_LENGTH or not url.isprintable():
            raise webhooks_error("urls has an entry that is no URL")
        if enabled:
            host_of(url)


def _are_strings(values: Any) -> TypeGuard[list[str]]:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)
