"""The webhooks block of a program: shape, rules, one normal form (contract, section 5)."""

import re
from typing import Any, TypeGuard

from daemon_programs.validators.addresses import error, host_of

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

_LONGEST_URL = 2048
_LONGEST_HEADER = 4096
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_HEADER_VALUE = re.compile(r"([!-~]([\t -~]*[!-~])?)?")
# What the delivery itself says.
_OWN_HEADERS = frozenset({"host", "connection", "content-length", "content-type", "transfer-encoding"})


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
        raise error("must be an object")
    for key in block:
        if key not in DEFAULTS:
            raise error(f"has an unknown key '{str(key)[:128]}'")
    whole = {**DEFAULTS, **block}
    if type(whole["enabled"]) is not bool:
        raise error("enabled must be true or false")
    _check_number("timeout", whole["timeout"], TIMEOUT)
    _check_number("retry", whole["retry"], RETRY)
    _event_names(whole["events"])
    _check_headers(whole["headers"])
    _check_urls(whole["urls"], enabled=whole["enabled"])


def _check_number(key: str, value: Any, limits: tuple[int, int]) -> None:
    if type(value) is not int or not limits[0] <= value <= limits[1]:
        raise error(f"{key} must be an integer between {limits[0]} and {limits[1]}")


def _event_names(events: Any) -> list[str]:
    """All names, in the order of ``EVENTS``, that a name, a list or ``*`` stands for."""
    names = [events] if isinstance(events, str) else events
    if not _are_strings(names) or not names:
        raise error("events must be a name, a list of names, or '*'")
    for name in names:
        if name.upper() not in EVENTS and name.lower() not in ALL:
            raise error(f"has an unknown event '{name[:128]}': it must be one of {', '.join(EVENTS)}")
    if any(name.lower() in ALL for name in names):
        return list(EVENTS)
    chosen = {name.upper() for name in names}
    return [name for name in EVENTS if name in chosen]


def _check_headers(headers: Any) -> None:
    if not isinstance(headers, dict) or not _are_strings([*headers, *headers.values()]):
        raise error("headers must be an object that maps names to strings")
    if len(headers) > MOST_HEADERS:
        raise error(f"headers must have at most {MOST_HEADERS} entries")
    if len({name.lower() for name in headers}) != len(headers):
        raise error("headers has a name twice")
    for name, value in headers.items():
        lower = name.lower()
        if not _HEADER_NAME.fullmatch(name) or lower in _OWN_HEADERS or lower.startswith("webhook-"):
            raise error(f"headers has a name that is not allowed: '{name[:128]}'")
        if not _HEADER_VALUE.fullmatch(value) or len(value) > _LONGEST_HEADER:
            raise error(f"headers has a value that is not allowed: that of '{name}'")


def _check_urls(urls: Any, *, enabled: bool) -> None:
    if not isinstance(urls, list) or not _are_strings(urls):
        raise error("urls must be a list of strings")
    if len(urls) > MOST_URLS or (enabled and not urls):
        raise error(f"urls must have 1 to {MOST_URLS} entries")
    for url in urls:
        if len(url) > _LONGEST_URL or not url.isprintable():
            raise error("urls has an entry that is no URL")
        if enabled:
            host_of(url)


def _are_strings(values: Any) -> TypeGuard[list[str]]:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)
