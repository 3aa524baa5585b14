"""The routes that read over all hosts. All but the logs is answered from what the hosts have told."""

from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from daemon_programs.api.base import VIEW, DaemonViewSet, checked
from daemon_programs.api.logs import room_of
from daemon_programs.api.paging import page as page_of
from daemon_programs.serializers.streams import stream_query
from daemon_programs.streams.answer import StreamResponse, stream_answer
from fleet.api.openapi import reading as schemas
from fleet.reading import events, logs, programs, status, usage
from fleet.reading.event_stream import FleetEventStream
from fleet.reading.hosts import KnownHost, chosen_hosts, freshness_of
from fleet.serializers.reading import (
    FleetEventsQuerySerializer,
    FleetEventStreamQuerySerializer,
    FleetLogsQuerySerializer,
    FleetProgramsQuerySerializer,
    FleetUsageQuerySerializer,
    HostChoiceSerializer,
)

_VIEW = ["fleet.view_host", *VIEW]
_VIEW_EVENTS = [*_VIEW, "daemon_programs.view_event"]
_OF_THE_HUB = ("host", "host_label")  # parameters that are not for the hosts


class FleetViewSet(DaemonViewSet):
    """What all hosts run."""

    permissions_of = {
        "programs": _VIEW,
        "status": _VIEW,
        "events": _VIEW_EVENTS,
        "stream": _VIEW_EVENTS,
        "usage": _VIEW,
        "logs": _VIEW,
    }
    query_of = {
        "programs": FleetProgramsQuerySerializer,
        "status": HostChoiceSerializer,
        "events": FleetEventsQuerySerializer,
        "stream": FleetEventStreamQuerySerializer,
        "usage": FleetUsageQuerySerializer,
        "logs": FleetLogsQuerySerializer,
    }

    @schemas.programs
    def programs(self, request: Request) -> Response:
        """Return a page of the programs of hosts."""
        query = self.query(request)
        hosts = _chosen(query)
        rows, next_cursor = programs.page(hosts, query, is_of_all=_is_of_all(query))
        shown = {row["host"] for row in rows}
        ages = freshness_of(hosts, (host.id for host in hosts if host.name in shown))
        return Response({"success": True, "programs": rows, "hosts": ages, "next": next_cursor})

    @schemas.status
    def status(self, request: Request) -> Response:
        """Return how many programs are in which state."""
        return Response({"success": True, **status.overall(_chosen(self.query(request)))})

    @schemas.events
    def events(self, request: Request) -> Response:
        """Return a page of the events of hosts, newest first."""
        query = self.query(request)
        hosts = _chosen(query)
        names = {host.id: host.name for host in hosts}
        shown, next_cursor = page_of(events.matching(hosts, query, is_of_all=_is_of_all(query)), query)
        rows = [
            events.event_document(event, names[event.host_id]) for event in shown if event.host_id in names
        ]
        ages = freshness_of(hosts, (event.host_id for event in shown))
        return Response({"success": True, "events": rows, "hosts": ages, "next": next_cursor})

    @schemas.stream
    def stream(self, request: Request) -> StreamResponse | HttpResponse:
        """Stream the events of hosts as they are heard of."""
        query = checked(FleetEventStreamQuerySerializer, stream_query(request))
        _chosen(query)  # refuses a name that no host has
        source = FleetEventStream(
            query["host"],
            query["host_label"],
            state=query.get("state"),
            last_event_id=query.get("last_event_id"),
        )
        return stream_answer(request, _VIEW_EVENTS, source)

    @schemas.usage
    def usage(self, request: Request) -> Response:
        """Return what the programs of hosts have used, by the minute."""
        query = self.query(request)
        return Response({"success": True, "hosts": usage.minutes(_chosen(query), query.get("since"))})

    @schemas.logs
    def logs(self, request: Request) -> Response:
        """Ask hosts for the newest lines of their logs, and return them oldest first."""
        query = self.query(request)
        asked = {
            name: request.query_params.getlist(name)
            for name in request.query_params
            if name not in _OF_THE_HUB
        }
        user = request.user.get_username()
        read = logs.read(_chosen(query), asked, query["lines"], user=user, room=room_of(request))
        return Response({"success": True, **read})


def _chosen(query: dict[str, Any]) -> list[KnownHost]:
    return chosen_hosts(query["host"], query["host_label"])


def _is_of_all(query: dict[str, Any]) -> bool:
    return not query["host"] and not query["host_label"]
