"""``GET fleet/calls``: what was passed on to hosts."""

from rest_framework.request import Request
from rest_framework.response import Response

from daemon_programs.api.base import DaemonViewSet
from daemon_programs.api.paging import page
from fleet.api.openapi.passing import list_calls
from fleet.models import HostCall
from fleet.passing import history
from fleet.serializers.calls import CallQuerySerializer


class CallViewSet(DaemonViewSet):
    """The history of a hub."""

    permissions_of = {"list": ["fleet.view_host", "fleet.view_hostcall"]}
    query_of = {"list": CallQuerySerializer}

    @list_calls
    def list(self, request: Request) -> Response:
        """Return a page of calls, newest first."""
        query = self.query(request)
        calls = HostCall.objects.filter(**{name: query[name] for name in ("user", "host") if name in query})
        if "since" in query:
            calls = calls.filter(at__gte=query["since"])
        shown, next_cursor = page(calls, query)
        documents = [history.call_document(call) for call in shown]
        return Response({"success": True, "calls": documents, "next": next_cursor})
