"""Which route of a host a request is for, and what it takes to ask for it: the same as for the route here."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from django.http import Http404
from django.urls import resolve
from rest_framework.exceptions import MethodNotAllowed

from daemon_programs.api.base import DaemonViewSet
from daemon_programs.api.once import RequestViewSet
from daemon_programs.exceptions import NotPermitted
from fleet.client import PATH

# A path of these characters means the same to each server and proxy on the way: there is nothing to decode,
# to join or to leave out. The ids of all routes are made of them. A key may have more, and is not passed on
# as it is.
_ROUTE = re.compile(r"[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*|requests/[A-Za-z0-9._~-]+")
_STREAM = "stream"  # the last word of each route that answers with a stream


class Route(NamedTuple):
    """A route of the API, as this daemon has it too."""

    path: str  # of the URL
    view: Any  # the class
    action: str  # of the view; empty for a view that anyone may ask

    @property
    def is_stream(self) -> bool:
        """Return whether the answer has no end."""
        return self.path.rpartition("/")[2] == _STREAM

    @property
    def key(self) -> str:
        """Return the key of a request that is asked for; empty if the route is about something else."""
        return self.path.rpartition("/")[2] if self.view is RequestViewSet else ""

    def permissions(self, user: Any, body: Mapping[str, Any]) -> list[str]:
        """Return the permissions that the route and the body need; raise NotPermitted without one of them.

        They are those of the user for all programs: what a host has is not known here.
        """
        if not self.action:
            return []
        needed = self.view.permissions_of.get(self.action)
        if needed is None:
            raise NotPermitted
        needed = [*needed, *self.view.needed_by(self.action, body)]
        alternatives = self.view.alternatives_of.get(self.action)
        if not user.has_perms(needed) or (alternatives and not any(map(user.has_perms, alternatives))):
            raise NotPermitted
        return needed


def find(route: str, method: str) -> Route:
    """Return a route below the base path of the API that is passed on.

    Raise Http404 for one that doesn't exist here or is about hosts itself: a hub is no host of another.
    """
    if not _ROUTE.fullmatch(route):
        raise Http404
    found = resolve(PATH + route).func
    view = getattr(found, "cls", None)
    if view is None or view.__module__.partition(".")[0] == __name__.partition(".")[0]:
        raise Http404
    actions = getattr(found, "actions", {"get": ""})
    action = actions.get("get" if method == "HEAD" else method.lower())
    if action is None:
        raise MethodNotAllowed(method)
    if not action and not _is_open(view):
        raise Http404
    return Route(PATH + route, view, action)


def _is_open(view: Any) -> bool:
    """Return whether a view says that anyone may ask it; one that lists no permissions doesn't."""
    return not issubclass(view, DaemonViewSet) and not view.authentication_classes
