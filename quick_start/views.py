"""The routes of quick start (contract, section 6). One verb each."""

from rest_framework.request import Request
from rest_framework.response import Response

from daemon_programs import runtime
from daemon_programs.serializers import LogQuerySerializer, NoFieldsSerializer
from daemon_programs.streams.answer import StreamResponse, stream_answer
from daemon_programs.streams.queries import LogStreamQuerySerializer, stream_query
from daemon_programs.views import DaemonViewSet, checked, log_answer
from quick_start import log_stream, verbs
from quick_start import schemas as shapes
from quick_start.documents import listed_document
from quick_start.models import EphemeralProgram
from quick_start.serializers import LaunchSerializer

VIEW = ["quick_start.view_ephemeralprogram"]
LAUNCH = [*VIEW, "quick_start.add_ephemeralprogram"]
OPERATE = [*VIEW, "quick_start.operate_ephemeralprogram"]


class QuickStartViewSet(DaemonViewSet):
    """Temporary programs: run one, look at it, stop it."""

    permissions_of = {
        "list": VIEW,
        "launch": LAUNCH,
        "status": VIEW,
        "logs": VIEW,
        "log_stream": VIEW,
        "stop": OPERATE,
    }

    @shapes.list_ephemeral
    def list(self, request: Request) -> Response:
        records = list(EphemeralProgram.objects.live())
        states = runtime.states()  # without those that have ended since the line before
        documents = [
            listed_document(record, states[record.group]) for record in records if record.group in states
        ]
        return Response({"success": True, "count": len(documents), "ephemeral_programs": documents})

    @shapes.launch
    def launch(self, request: Request) -> Response:
        values = checked(LaunchSerializer, request.data)
        options = {name: values.pop(name) for name in ("wait", "timeout")}
        return Response({"success": True, **verbs.launch(values, **options)})

    @shapes.ephemeral_status
    def status(self, request: Request, id: str) -> Response:
        return Response({"success": True, **verbs.status_of(id)})

    @shapes.ephemeral_logs
    def logs(self, request: Request, id: str) -> Response:
        record = verbs.get_record(id)
        query = checked(LogQuerySerializer, request.query_params)
        return log_answer(record, None, query)

    @shapes.ephemeral_log_stream
    def log_stream(self, request: Request, id: str) -> StreamResponse:
        record = verbs.get_record(id)
        query = checked(LogStreamQuerySerializer, stream_query(request))
        return stream_answer(request, VIEW, log_stream.of_record(record, query))

    @shapes.stop_ephemeral
    def stop(self, request: Request, id: str) -> Response:
        verbs.get_record(id)  # 404 comes before 400
        checked(NoFieldsSerializer, request.data)
        verbs.stop(id)
        return Response(
            {
                "success": True,
                "temporary_id": id,
                "cleaned_up": True,
                "message": "Program stopped and configuration removed",
            }
        )
