"""What keeps generated programs harmless: they may be run by root.

Whatever a generator makes up, what is sent has a command that sleeps (or ``true``), the tests' own user
but not that user's start-up files, and log files below one folder. Only values that could be accepted are
exchanged; what the API must refuse is sent as it was generated. ``DAEMON_LOG_ROOTS`` holds the log files a
second time.
"""

import itertools
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.stack import OWN_USER

_ids = itertools.count(1)


def command(value: Any) -> Any:
    """The text becomes an argument that nobody reads; a blank command stays what must be refused."""
    if not isinstance(value, str) or not value.strip() or value == "true":
        return value
    return f"sh -c 'exec sleep 1000' {shlex.quote(value)}"


def user(value: Any) -> Any:
    """Of all users only the tests' own is known to exist."""
    return OWN_USER if isinstance(value, str) and value.strip() and "\0" not in value else value


def log_file(value: Any, folder: Path) -> Any:
    """A path of its own below the folder; what is no absolute path of a file stays what must be refused."""
    if not isinstance(value, str) or not re.fullmatch(r"/[^\0-\x1f\x7f-\x9f]*[^/\0-\x1f\x7f-\x9f]", value):
        return value
    return str(folder / f"log {next(_ids)}" / "out.log")


def directory(value: Any, folder: Path) -> Any:
    """Of all folders this one is known to exist."""
    is_path = isinstance(value, str) and value.startswith("/") and "\0" not in value
    return str(folder) if is_path else value


def environment(value: Any, folder: Path) -> Any:
    """With an empty home: the shell of a terminal finds no start-up files there."""
    return {**value, "HOME": str(folder)} if isinstance(value, dict) else value


def webhooks(value: Any) -> Any:
    """Addresses that nobody has: what the API accepts may be called one day."""
    urls = value.get("urls", []) if isinstance(value, dict) else None
    if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
        return value
    return {**value, "urls": [f"https://hook{n}.daemon.example/" for n, _ in enumerate(urls or [""])]}


def body(value: Any, folder: Path) -> Any:
    """The body of a request that adds or edits a program, made harmless."""
    if not isinstance(value, dict):
        return value
    exchanged: dict[str, Callable[[Any], Any]] = {
        "command": command,
        "user": user,
        "directory": lambda path: directory(path, folder),
        "stdout_logfile": lambda path: log_file(path, folder),
        "stderr_logfile": lambda path: log_file(path, folder),
        "webhooks": webhooks,
    }
    sent = {name: exchanged[name](each) if name in exchanged else each for name, each in value.items()}
    if "terminal_id" in sent or "environment" in sent:
        sent["environment"] = environment(sent.get("environment", {}), folder)
    return sent
