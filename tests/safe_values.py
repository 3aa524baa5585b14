"""Replace generated values by safe ones, since root may run the generated programs.

Each program that is sent has a command that sleeps (or ``true``), the tests' own user without that user's
start-up files, and log files below one folder. Only values that the API could accept are replaced; what it
must refuse is sent as it was generated. ``DAEMON_LOG_ROOTS`` confines the log files as well.
"""

import itertools
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.stack import OWN_USER

_ids = itertools.count(1)
_USER_LENGTH = 64  # of the field


def command(value: Any) -> Any:
    """Turn the text into an ignored argument; keep a blank command, which must be refused."""
    if not isinstance(value, str) or not value.strip() or value == "true":
        return value
    return f"sh -c 'exec sleep 1000' {shlex.quote(value)}"


def before_start(value: Any) -> Any:
    """Run ``true`` in the place of each command that could be accepted."""
    if not isinstance(value, list):
        return value
    return [
        {**each, "command": harmless(each["command"])}
        if isinstance(each, dict) and "command" in each
        else harmless(each)
        for each in value
    ]


def harmless(value: Any) -> Any:
    """Return ``true`` for a command; keep what is none."""
    return "true" if isinstance(value, str) and value.strip() and "\0" not in value else value


def user(value: Any) -> Any:
    """Return the tests' own user, the only one known to exist."""
    is_possible = (
        isinstance(value, str) and value.strip() and "\0" not in value and len(value) <= _USER_LENGTH
    )
    return OWN_USER if is_possible else value


def log_file(value: Any, folder: Path) -> Any:
    """Return a new path below the folder; keep what is not an absolute path, which must be refused."""
    if not isinstance(value, str) or not re.fullmatch(r"/[^\0-\x1f\x7f-\x9f]*[^/\0-\x1f\x7f-\x9f]", value):
        return value
    return str(folder / f"log {next(_ids)}" / "out.log")


def directory(value: Any, folder: Path) -> Any:
    """Return the folder, the only one known to exist."""
    is_path = isinstance(value, str) and value.startswith("/") and "\0" not in value
    return str(folder) if is_path else value


def environment(value: Any, folder: Path) -> Any:
    """Set an empty home, where the shell of a terminal finds no start-up files."""
    return {**value, "HOME": str(folder)} if isinstance(value, dict) else value


def webhooks(value: Any) -> Any:
    """Use unused addresses, since URLs that the API accepts may be called."""
    urls = value.get("urls", []) if isinstance(value, dict) else None
    if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
        return value
    return {**value, "urls": [f"https://hook{n}.daemon.example/" for n, _ in enumerate(urls or [""])]}


def numprocs(value: Any) -> Any:
    """Return a few where there could be a thousand, each of which would be started."""
    return min(value, 3) if type(value) is int and value <= 1000 else value


def probe(value: Any) -> Any:
    """Return a probe or a reload with a harmless command; keep a blank one, which must be refused."""
    if not isinstance(value, dict) or not isinstance(value.get("command"), str):
        return value
    return {**value, "command": "true"} if value["command"].strip() else value


def body(value: Any, folder: Path) -> Any:
    """Return the body of an add, edit or apply request with safe values."""
    if not isinstance(value, dict):
        return value
    exchanged: dict[str, Callable[[Any], Any]] = {
        "command": command,
        "before_start": before_start,
        "user": user,
        "directory": lambda path: directory(path, folder),
        "stdout_logfile": lambda path: log_file(path, folder),
        "stderr_logfile": lambda path: log_file(path, folder),
        "webhooks": webhooks,
        "numprocs": numprocs,
        "ready": probe,
        "health": probe,
        "reload": probe,
        "defaults": lambda fields: body(fields, folder),
        "programs": lambda programs: all_of(programs, folder),
    }
    sent = {name: exchanged[name](each) if name in exchanged else each for name, each in value.items()}
    if "terminal_id" in sent or "environment" in sent:
        sent["environment"] = environment(sent.get("environment", {}), folder)
    return sent


def all_of(programs: Any, folder: Path) -> Any:
    """Return the programs of a list with safe values."""
    return [body(each, folder) for each in programs] if isinstance(programs, list) else programs
