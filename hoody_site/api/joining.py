"""``POST hosts/join``, with which a host adds itself to this one: the code is the authentication."""

from typing import Any

from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from daemon_programs.api.base import checked
from daemon_programs.serializers.queries import check_keys
from fleet.api.openapi.hosts import join_hub
from fleet.registry import invitations
from fleet.serializers.hosts import JoinSerializer
from hoody_site.access.attempts import attempts, client_address
from hoody_site.access.authentication import TooManyAttempts
from hoody_site.access.failures import failure_log

_NOT_VALID = "The code is not valid"


class JoinView(APIView):
    """Take a host that has a code. Wrong codes are limited like wrong tokens."""

    authentication_classes: list[Any] = []
    permission_classes = [AllowAny]
    http_method_names = ["post"]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse all query parameters (docs/contract.md, section 1)."""
        super().initial(request, *args, **kwargs)
        check_keys(request.query_params, ())

    @join_hub
    def post(self, request: Request) -> Response:
        """Add the host, or replace its address and token."""
        values = checked(JoinSerializer, request.data)
        check = values.pop("check")
        try:
            host = invitations.join(values, check=check)
        except invitations.CodeNotValid:
            _count_failure(request)
            raise PermissionDenied(_NOT_VALID, "code_not_valid") from None
        attempts.reset("code", client_address(request))
        return Response({"success": True, "name": host.name})


def _count_failure(request: Request) -> None:
    client = client_address(request)
    failure_log.add("codes of hosts that are not valid", client)
    if wait := attempts.count(("code", client)):
        raise TooManyAttempts(wait)
