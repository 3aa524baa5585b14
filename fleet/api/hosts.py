"""The routes of the register of hosts."""

from rest_framework.request import Request
from rest_framework.response import Response

from daemon_programs.api.base import VIEW as VIEW_PROGRAMS
from daemon_programs.api.base import DaemonViewSet, checked
from daemon_programs.api.lists import list_page
from daemon_programs.serializers.verbs import NoFieldsSerializer
from daemon_programs.timestamps import milliseconds
from fleet.api.openapi import hosts as schemas
from fleet.registry import checking, hosts, invitations
from fleet.registry.documents import chosen, counts_of, host_document
from fleet.serializers.hosts import (
    HostAddSerializer,
    HostEditSerializer,
    HostListSerializer,
    InviteSerializer,
)

VIEW = ["fleet.view_host"]
_CHANGE = "fleet.change_host"


class HostViewSet(DaemonViewSet):
    """List, add, change, remove and ask hosts, and invite others."""

    permissions_of = {
        "list": VIEW,
        "retrieve": VIEW,
        "add": [*VIEW, "fleet.add_host"],
        "edit": [*VIEW, _CHANGE],
        "remove": [*VIEW, "fleet.delete_host"],
        "check": [*VIEW, "fleet.operate_host"],
        "invite": [*VIEW, "fleet.add_host"],  # and the permission to change one that is there
    }
    query_of = {"list": HostListSerializer}

    @schemas.list_hosts
    def list(self, request: Request) -> Response:
        """Return the hosts that meet the filters, or a page of them, by name."""
        query = self.query(request)
        shown, page = list_page(
            chosen(hosts.all_hosts(), query),
            query,
            id_of=lambda host: host.pk,
            value_of=lambda host: host.name,
        )
        counts = counts_of(shown) if request.user.has_perms(VIEW_PROGRAMS) else None
        documents = [host_document(host, counts) for host in shown]
        return Response({"success": True, "hosts": documents, **page})

    @schemas.retrieve_host
    def retrieve(self, request: Request, name: str) -> Response:
        """Return one host."""
        return _answer(request, name)

    @schemas.add_host
    def add(self, request: Request) -> Response:
        """Add a host."""
        values = checked(HostAddSerializer, request.data)
        check = values.pop("check")
        host = hosts.add_host(values, user=request.user.get_username(), check=check)
        return _answer(request, host.name)

    @schemas.edit_host
    def edit(self, request: Request, name: str) -> Response:
        """Change the fields of a host that the body has."""
        hosts.get_host(name)  # an unknown name is a 404, whatever the body is
        values = checked(HostEditSerializer, request.data)
        check = values.pop("check")
        hosts.edit_host(name, values, user=request.user.get_username(), check=check)
        return _answer(request, name)

    @schemas.remove_host
    def remove(self, request: Request, name: str) -> Response:
        """Remove a host from the register."""
        hosts.get_host(name)
        checked(NoFieldsSerializer, request.data)
        return Response({"success": True, "name": hosts.remove_host(name, user=request.user.get_username())})

    @schemas.check_host
    def check(self, request: Request, name: str) -> Response:
        """Ask a host now, with its token."""
        host = hosts.get_host(name)
        checked(NoFieldsSerializer, request.data)
        return Response({"success": True, **checking.document_of(checking.ask(host))})

    @schemas.invite_host
    def invite(self, request: Request) -> Response:
        """Make a one-time code with which a host adds itself."""
        invitation, code = invitations.invite(
            checked(InviteSerializer, request.data),
            user=request.user.get_username(),
            may_change=request.user.has_perm(_CHANGE),
        )
        return Response(
            {
                "success": True,
                "code": code,
                "name": invitation.name or None,
                "expires_at": milliseconds(invitation.expires_at),
            }
        )


def _answer(request: Request, name: str) -> Response:
    """Return a host with its CA, which lists leave out."""
    host = hosts.get_host(name)
    counts = counts_of([host]) if request.user.has_perms(VIEW_PROGRAMS) else None
    return Response({"success": True, "host": {**host_document(host, counts), "ca": host.ca}})
