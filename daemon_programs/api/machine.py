"""The route of the machine: what other daemons, and tools that place programs, have to know of it."""

from rest_framework.request import Request
from rest_framework.response import Response

from daemon_programs.api.base import VIEW, DaemonViewSet
from daemon_programs.api.openapi import machine as schemas
from daemon_programs.programs.observed import machine
from hoody_daemon import __version__


class MachineViewSet(DaemonViewSet):
    """The machine that the programs run on."""

    permissions_of = {"retrieve": VIEW}

    @schemas.retrieve_machine
    def retrieve(self, request: Request) -> Response:
        """Return the version of the daemon, and the size and load of its machine."""
        return Response({"success": True, "version": __version__, "machine": machine.describe()})
