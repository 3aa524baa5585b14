"""Moments and durations as text, in the forms that clients get (docs/contract.md, section 1)."""

from datetime import UTC, datetime


def uptime(seconds: float) -> str:
    """``H:MM:SS``; the hours grow past 24."""
    minutes, rest = divmod(max(int(seconds), 0), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def iso(timestamp: float) -> str:
    """ISO 8601 in UTC with ``Z``, whole seconds."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def milliseconds(moment: datetime) -> str:
    """ISO 8601 in UTC with ``Z``, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
