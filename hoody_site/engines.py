"""The engines that keep the data and carry the queue: the embedded SQLite, or PostgreSQL and Redis."""

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from environs import ValidationError

_PATIENCE_SECONDS = 20  # of a statement that waits for others, as with SQLite
_REACHED_SECONDS = 5  # within which a server answers, or counts as away


def check_database_url(url: str) -> None:
    """Refuse what is no address of a PostgreSQL database. The message shows no part of it, as a password."""
    _check(url, ("postgres", "postgresql"), "postgres://user:password@host/database")
    if not urlsplit(url).path.strip("/"):
        raise ValidationError("must name a database, as in postgres://user:password@host/database")


def check_broker_url(url: str) -> None:
    """Refuse what is no address of a Redis database, with a message that has no part of it."""
    _check(url, ("redis", "rediss", "unix"), "redis://host:6379/0")


def _check(url: str, schemes: tuple[str, ...], example: str) -> None:
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in schemes and (parts.port is None or parts.port > 0)
    except ValueError:
        is_usable = False
    if not is_usable:
        raise ValidationError(f"must be an address such as {example}")


def sqlite(file: Path) -> dict[str, Any]:
    """Return Django's settings of a database in a file.

    With WAL and IMMEDIATE, concurrent writers wait for each other instead of failing with "database is
    locked". Connections are kept open, because closing the last one under WAL runs a checkpoint.
    """
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": file,
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "timeout": _PATIENCE_SECONDS,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }


def postgresql(url: str, connections: int) -> dict[str, Any]:
    """Return Django's settings of a PostgreSQL database, of which a process has so many connections at most.

    A connection that is not used is closed after a minute. One that the server has dropped is found when it
    is taken, and a server that doesn't answer any more is given up after some seconds.
    """
    import dj_database_url  # which few need

    settings: dict[str, Any] = dict(dj_database_url.parse(url, conn_max_age=0, conn_health_checks=True))
    given = settings.get("OPTIONS", {})
    settings["OPTIONS"] = {
        "connect_timeout": _REACHED_SECONDS,
        "tcp_user_timeout": 10_000,
        "application_name": "hoody-daemon",
        **given,
        "options": f"{given.get('options', '')} -c lock_timeout={_PATIENCE_SECONDS}s".strip(),
        "pool": {"min_size": 0, "max_size": connections, "max_idle": 60, "timeout": _REACHED_SECONDS},
    }
    return settings


def queue_name(secret_key: str) -> str:
    """Return the name of an installation's queue in Redis, which may carry those of others.

    It is made of the key that signs the tasks, since a task of another key can only be dropped: the paths of
    state folders are the same on many hosts.
    """
    return f"daemon-{hashlib.sha256(f'queue {secret_key}'.encode()).hexdigest()[:16]}"
