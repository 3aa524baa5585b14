"""The base of all views: validated input, and the permissions that verbs need."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from rest_framework import serializers, viewsets
from rest_framework.request import Request

from daemon_programs.serializers.queries import check_keys, keys_of, repeatable_keys_of

VIEW = ["daemon_programs.view_program"]
OPERATE = [*VIEW, "daemon_programs.operate_program"]
CHANGE = [*VIEW, "daemon_programs.change_program"]
ADD = [*VIEW, "daemon_programs.add_program"]
REMOVE = [*VIEW, "daemon_programs.delete_program"]
RESET = [*ADD, *CHANGE, *REMOVE]

S = TypeVar("S", bound=serializers.Serializer)


class DaemonViewSet(viewsets.ViewSet):
    """Accept GET, HEAD and POST only (docs/contract.md, section 1).

    Views list the permissions of each action, and the query of each action that takes one. Of an action in
    ``alternatives_of`` each alternative is a list of permissions, all of one of which are needed besides.
    """

    http_method_names = ["get", "head", "post"]
    permissions_of: dict[str, list[str]]
    alternatives_of: dict[str, list[list[str]]] = {}
    query_of: dict[str, type[serializers.Serializer]] = {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check who asks, then refuse query parameters that the action does not know."""
        super().initial(request, *args, **kwargs)
        if self.action is not None:
            self.check_query(request)

    def check_query(self, request: Request) -> None:
        """Refuse query parameters that the action does not know."""
        query = self.query_of.get(self.action or "")
        check_keys(request.query_params, keys_of(query), repeatable_keys_of(query))

    def query(self, request: Request) -> dict[str, Any]:
        """Return the query of the action, validated and converted."""
        return checked(self.query_of[self.action or ""], request.query_params)

    @classmethod
    def needed_by(cls, action: str, body: Mapping[str, Any]) -> Sequence[str]:
        """Return the permissions that a body needs besides, as far as it tells by itself.

        This is for requests that another daemon carries out, with rights of its own. Here an action checks
        what it is about to do.
        """
        return []


def checked(serializer_class: type[S], data: Any, **options: Any) -> dict[str, Any]:
    """Return the data of a request, validated and converted; raise a ValidationError if it is not valid."""
    serializer = serializer_class(data=data, **options)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)
