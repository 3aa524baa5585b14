"""Check the Django permissions that each view requires for each of its actions."""

from typing import Any

from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request


class VerbPermission(BasePermission):
    """Require the permissions that the view lists in ``permissions_of`` for the requested action.

    An action that is missing there is refused, so that forgetting one does not open it to all users.
    """

    message = "You do not have the permission to do this"

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return whether the user has the permissions; raise NotAuthenticated without a user."""
        if not request.user or not request.user.is_authenticated:
            raise NotAuthenticated("Authentication is required: send Authorization: Bearer <token>")
        action = getattr(view, "action", None)
        if action in (None, "metadata"):
            return True  # the route does not have this method: DRF answers 405 next
        needed = view.permissions_of.get(action)
        if needed is None or not request.user.has_perms(needed):
            return False
        alternatives = view.alternatives_of.get(action)
        return alternatives is None or any(map(request.user.has_perms, alternatives))
