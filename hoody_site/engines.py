"""The engines that keep the data and carry the queue: the embedded SQLite, or PostgreSQL and Redis."""

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from environs import ValidationError

_PATIENCE_SECONDS = 20  # of a statement that waits for others, as with SQLite
_REACHED_SECONDS = 5  # within which a server answers, or counts as away
_GONE_SECONDS = 10  # after which a server that is silent is given up
# After which the server gives a client up that is cut off: it ends its transaction, whose locks others want.
_GONE_CLIENT_SECONDS = 6
_FROZEN_SECONDS = 60  # after which it does so with a client that stands still in one
_ASKED_SECONDS = {"idle": 3, "interval": 1}  # when a connection without traffic is asked whether it lives


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
    is taken, and a server that doesn't answer any more is given up after some seconds. So is, by the server,
    a client that was cut off, or stands still, in a transaction.
    """
    import dj_database_url  # which few need

    settings: dict[str, Any] = dict(dj_database_url.parse(url, conn_max_age=0, conn_health_checks=True))
    given = settings.get("OPTIONS", {})
    of_session = {
        "lock_timeout": f"{_PATIENCE_SECONDS}s",
        "idle_in_transaction_session_timeout": f"{_FROZEN_SECONDS}s",
        "tcp_user_timeout": f"{_GONE_CLIENT_SECONDS}s",
        **{f"tcp_keepalives_{name}": seconds for name, seconds in _ASKED_SECONDS.items()},
    }
    added = " ".join(f"-c {name}={value}" for name, value in of_session.items())
    settings["OPTIONS"] = {
        "connect_timeout": _REACHED_SECONDS,
        "tcp_user_timeout": _GONE_SECONDS * 1000,
        **{f"keepalives_{name}": seconds for name, seconds in _ASKED_SECONDS.items()},
        "application_name": "hoody-daemon",
        **given,
        "options": f"{given.get('options', '')} {added}".strip(),
        "pool": {"min_size": 0, "max_size": connections, "max_idle": 60, "timeout": _REACHED_SECONDS},
    }
    return settings


def queue_name(secret_key: str) -> str:
    """Return the name of an installation's queue in Redis, which may carry those of others.

    It is made of the key that signs the tasks, since a task of another key can only be dropped: the paths of
    state folders are the same on many hosts.
    """
    return f"daemon-{hashlib.sha256(f'queue {secret_key}'.encode()).hexdigest()[:16]}"
