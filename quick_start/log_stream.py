"""The log of a temporary program as a stream, which ends some time: with how the program did."""

from typing import Any

from daemon_programs.logs.stream import LogStream
from quick_start.models import EphemeralProgram


def of_record(record: EphemeralProgram, query: dict[str, Any]) -> LogStream:
    """The stream of its log, as a ``LogStreamQuerySerializer`` has it asked for."""

    def ending() -> dict[str, Any] | None:
        present = EphemeralProgram.objects.filter(pk=record.pk).first()
        if present is None:
            return {"reason": "removed"}
        return None if present.ended_at is None else {"status": present.final_status}

    return LogStream(record, record.log_path(query["type"]), ending, **query)
