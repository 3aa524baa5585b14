"""The routes of the history: pages of events, and the event stream."""

from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from daemon_programs.api.base import VIEW, DaemonViewSet, checked
from daemon_programs.api.openapi import events as schemas
from daemon_programs.api.openapi import streams as stream_schemas
from daemon_programs.api.paging import page
from daemon_programs.history.store import event_document
from daemon_programs.history.stream import EventStream
from daemon_programs.models import Event
from daemon_programs.models.event import EventQuerySet
from daemon_programs.programs import services
from daemon_programs.serializers.queries import EventQuerySerializer
from daemon_programs.serializers.streams import EventStreamQuerySerializer, stream_query
from daemon_programs.streams.answer import StreamResponse, stream_answer

_VIEW_EVENTS = [*VIEW, "daemon_programs.view_event"]


class EventViewSet(DaemonViewSet):
    """The recorded state changes of all programs, or of one."""

    permissions_of = {"list": _VIEW_EVENTS, "of_program": _VIEW_EVENTS, "stream": _VIEW_EVENTS}
    query_of = {
        "list": EventQuerySerializer,
        "of_program": EventQuerySerializer,
        "stream": EventStreamQuerySerializer,
    }

    @schemas.list_events
    def list(self, request: Request) -> Response:
        """Return a page of all events, newest first."""
        return _page(Event.objects.all(), self.query(request))

    @schemas.program_events
    def of_program(self, request: Request, id: str) -> Response:
        """Return a page of a program's events, newest first."""
        program = services.get_program(id)
        query = self.query(request)
        return _page(Event.objects.of_program(program.pk), query)

    @stream_schemas.event_stream
    def stream(self, request: Request) -> StreamResponse | HttpResponse:
        """Stream the events of all programs, or of one, as they are recorded."""
        query = checked(EventStreamQuerySerializer, stream_query(request))
        return stream_answer(request, _VIEW_EVENTS, EventStream(**query))


def _page(events: EventQuerySet, query: dict[str, Any]) -> Response:
    if "since" in query:
        events = events.filter(at__gte=query["since"])
    if "state" in query:
        events = events.filter(state=query["state"])
    shown, next_cursor = page(events, query)
    documents = [event_document(event) for event in shown]
    return Response({"success": True, "events": documents, "next": next_cursor})
