"""``hosts/{name}/api/v1/daemon/…``: the routes of a host, through this daemon."""

from django.http.response import HttpResponseBase
from rest_framework.request import Request

from daemon_programs.api.base import DaemonViewSet
from fleet.api.openapi import passing as schemas

_READ = ["fleet.view_host"]
_CHANGE = [*_READ, "fleet.operate_host"]


class PassingViewSet(DaemonViewSet):
    """Pass requests on to hosts. What a route needs here, it needs for a host too."""

    permissions_of = {"read": _READ, "change": _CHANGE}

    def check_query(self, request: Request) -> None:
        """Leave the query to the host, which knows its routes."""

    @schemas.read_of_host
    def read(self, request: Request, name: str, route: str) -> HttpResponseBase:
        """Return what a host answers to a GET."""
        return _pass_on(request, name, route, _READ)

    @schemas.change_on_host
    def change(self, request: Request, name: str, route: str) -> HttpResponseBase:
        """Return what a host answers to a POST."""
        return _pass_on(request, name, route, _CHANGE)


def _pass_on(request: Request, name: str, route: str, own: list[str]) -> HttpResponseBase:
    # A daemon without hosts never loads what speaks to them.
    from fleet.passing.forwarding import pass_on

    return pass_on(request, name, route, own)
