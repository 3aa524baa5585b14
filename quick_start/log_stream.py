"""Stream the log of a temporary program, until the program has ended."""

from typing import Any

from daemon_programs.logs.stream import LogStream
from quick_start.models import EphemeralProgram


def of_record(record: EphemeralProgram, query: dict[str, Any]) -> LogStream:
    """Return a stream of the record's log; ``query`` is validated by ``LogStreamQuerySerializer``."""

    def ending() -> dict[str, Any] | None:
        """Return the data of the `end` event; None while the program runs."""
        present = EphemeralProgram.objects.filter(pk=record.pk).first()
        if present is None:
            return {"reason": "removed"}
        return None if present.ended_at is None else {"status": present.final_status}

    return LogStream(record, record.log_path(query["type"]), ending, **query)
