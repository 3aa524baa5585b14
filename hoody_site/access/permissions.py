"""Who may do what: Django's permissions, named by each view for each of its verbs."""

from typing import Any

from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request


class VerbPermission(BasePermission):
    """A view says in ``permissions_of`` which permissions each of its actions needs.

    An action that is not named there is refused: forgetting one can't open a door.
    """

    message = "You do not have the permission to do this"

    def has_permission(self, request: Request, view: Any) -> bool:
        if not request.user or not request.user.is_authenticated:
            raise NotAuthenticated("Authentication is required: send Authorization: Bearer <token>")
        action = getattr(view, "action", None)
        if action in (None, "metadata"):
            return True  # no such method on this route: that is answered next, with 405
        needed = view.permissions_of.get(action)
        return needed is not None and request.user.has_perms(needed)
