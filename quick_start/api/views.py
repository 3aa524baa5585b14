"""Views of quick start (docs/contract.md, section 6)."""

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from daemon_programs.api.base import DaemonViewSet, checked
from daemon_programs.api.lists import list_page, with_fields
from daemon_programs.api.logs import log_response
from daemon_programs.serializers.queries import LogQuerySerializer
from daemon_programs.serializers.streams import LogStreamQuerySerializer, stream_query
from daemon_programs.serializers.verbs import NoFieldsSerializer, TemporaryInputSerializer
from daemon_programs.streams.answer import StreamResponse, stream_answer
from quick_start import log_stream, services
from quick_start.api import operations as shapes
from quick_start.serializers import LaunchSerializer, ListSerializer

VIEW = ["quick_start.view_ephemeralprogram"]
LAUNCH = [*VIEW, "quick_start.add_ephemeralprogram"]
OPERATE = [*VIEW, "quick_start.operate_ephemeralprogram"]


class QuickStartViewSet(DaemonViewSet):
    """Run, query and stop temporary programs."""

    permissions_of = {
        "list": VIEW,
        "launch": LAUNCH,
        "status": VIEW,
        "logs": VIEW,
        "log_stream": VIEW,
        "stop": OPERATE,
        "write_input": OPERATE,
    }
    query_of = {
        "list": ListSerializer,
        "logs": LogQuerySerializer,
        "log_stream": LogStreamQuerySerializer,
    }

    @shapes.list_ephemeral
    def list(self, request: Request) -> Response:
        """Return the temporary programs that run or await clean-up, as far as they match the filters."""
        query = self.query(request)
        listed = services.list_live(query)
        shown, page = list_page(
            listed,
            query,
            id_of=lambda each: each.record.pk,
            value_of=lambda each: _value(each, query.get("sort", "id").removeprefix("-")),
        )
        documents = [with_fields(each.document, query) for each in shown]
        return Response({"success": True, "count": len(documents), "ephemeral_programs": documents, **page})

    @shapes.launch
    def launch(self, request: Request) -> Response:
        """Run a temporary program."""
        values = checked(LaunchSerializer, request.data)
        options = {name: values.pop(name) for name in ("wait", "timeout")}
        return Response({"success": True, **services.launch(values, **options)})

    @shapes.ephemeral_status
    def status(self, request: Request, id: str) -> Response:
        """Return a program's status, or how it ended."""
        return Response({"success": True, **services.status_of(id)})

    @shapes.ephemeral_logs
    def logs(self, request: Request, id: str) -> Response:
        """Return the last lines of a program's log."""
        record = services.get_record(id)
        query = self.query(request)
        return log_response(request, record, None, query)

    @shapes.ephemeral_log_stream
    def log_stream(self, request: Request, id: str) -> StreamResponse | HttpResponse:
        """Stream a program's log."""
        record = services.get_record(id)
        query = checked(LogStreamQuerySerializer, stream_query(request))
        return stream_answer(request, VIEW, log_stream.of_record(record, query))

    @shapes.write_ephemeral_input
    def write_input(self, request: Request, id: str) -> Response:
        """Write to a program's standard input."""
        services.get_record(id)  # an unknown id is answered with 404 even if the body is not valid
        services.write_input(id, **checked(TemporaryInputSerializer, request.data))
        return Response({"success": True})

    @shapes.stop_ephemeral
    def stop(self, request: Request, id: str) -> Response:
        """Stop a program and clean up."""
        services.get_record(id)  # an unknown id is answered with 404 even if the body is not valid
        checked(NoFieldsSerializer, request.data)
        services.stop(id)
        return Response(
            {
                "success": True,
                "temporary_id": id,
                "cleaned_up": True,
                "message": "Program stopped and configuration removed",
            }
        )


def _value(listed: services.Listed, sort: str) -> str | float:
    """Return what a temporary program is sorted by."""
    if sort == "name":
        return listed.record.name.casefold()
    return str(listed.document["status"]) if sort == "status" else listed.record.pk
