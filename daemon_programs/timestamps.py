"""Format times and durations for clients (docs/contract.md, section 1)."""

from datetime import UTC, datetime


def uptime(seconds: float) -> str:
    """Return a duration as ``H:MM:SS``; the hours grow past 24."""
    minutes, rest = divmod(max(int(seconds), 0), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def iso(timestamp: float) -> str:
    """Return seconds since the epoch in ISO 8601, UTC with ``Z``, in whole seconds."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def file_stamp() -> str:
    """Return the present time for the name of a file; later names sort after earlier ones."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H%M%S.%fZ")


def milliseconds(moment: datetime) -> str:
    """Return a time in ISO 8601, UTC with ``Z``, in milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
