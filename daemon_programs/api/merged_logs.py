"""The routes of the logs of several programs: lines merged by time, and the stream of what is written."""

from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from daemon_programs.api.base import VIEW, DaemonViewSet, checked
from daemon_programs.api.logs import room_of
from daemon_programs.api.openapi import merged_logs as schemas
from daemon_programs.logs import merged
from daemon_programs.logs.chosen import Choice
from daemon_programs.logs.merged_stream import MergedLogStream
from daemon_programs.logs.wanted import Wanted
from daemon_programs.serializers.queries import MergedLogQuerySerializer
from daemon_programs.serializers.streams import MergedLogStreamQuerySerializer, stream_query
from daemon_programs.streams.answer import StreamResponse, stream_answer


class MergedLogViewSet(DaemonViewSet):
    """The logs of several programs together."""

    permissions_of = {"list": VIEW, "stream": VIEW}
    query_of = {"list": MergedLogQuerySerializer, "stream": MergedLogStreamQuerySerializer}

    @schemas.merged_logs
    def list(self, request: Request) -> Response:
        """Return the newest lines of all the logs, oldest first."""
        query = self.query(request)
        logs = Choice(query["select"]).logs(query["type"])
        merged.check_number(logs, merged.MAX_LOGS)
        read = merged.read(logs, _wanted(query), query["lines"], max_json_bytes=room_of(request))
        return Response(
            {
                "success": True,
                "lines": read.lines,
                **({"problems": read.problems} if read.problems else {}),
                **({"truncated": True} if read.is_truncated else {}),
            }
        )

    @schemas.merged_log_stream
    def stream(self, request: Request) -> StreamResponse | HttpResponse:
        """Stream the logs as they are written."""
        query = checked(MergedLogStreamQuerySerializer, stream_query(request))
        source = MergedLogStream(
            Choice(query["select"]),
            _wanted(query),
            type=query["type"],
            lines=query["lines"],
            last_event_id=query.get("last_event_id"),
        )
        return stream_answer(request, VIEW, source)


def _wanted(query: dict[str, Any]) -> Wanted:
    return Wanted.of(query.get("since"), query.get("until"), query.get("grep", ""), query["ignore_case"])
