"""The routes of roll-outs."""

from typing import Any

from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from daemon_programs.api.base import DaemonViewSet, checked
from daemon_programs.api.paging import page
from daemon_programs.serializers.verbs import NoFieldsSerializer
from fleet.api.openapi import rollouts as schemas
from fleet.models import Rollout
from fleet.rollouts import services
from fleet.rollouts.permissions import SEE, STEER, needed, needed_to_rehearse, needed_to_steer
from fleet.rollouts.representation import listed_rollouts, rollout_document
from fleet.rollouts.services import Wanted
from fleet.rollouts.targets import Targets
from fleet.serializers.rollouts import (
    OWN_FIELDS,
    FleetApplySerializer,
    FleetBatchSerializer,
    RolloutQuerySerializer,
)


class RolloutViewSet(DaemonViewSet):
    """Change many hosts, a few at a time."""

    permissions_of = {
        "list": SEE,
        "retrieve": SEE,
        "apply": SEE,  # and what the hosts' route needs
        "batch": SEE,
        "pause": STEER,
        "resume": STEER,
        "cancel": STEER,
        "rollback": STEER,
    }
    query_of = {"list": RolloutQuerySerializer}

    @schemas.list_rollouts
    def list(self, request: Request) -> Response:
        """Return a page of roll-outs, newest first."""
        query = self.query(request)
        records = Rollout.objects.defer("body")
        if "state" in query:
            records = records.filter(state=query["state"])
        shown, next_cursor = page(records, query)
        return Response({"success": True, "rollouts": listed_rollouts(shown), "next": next_cursor})

    @schemas.retrieve_rollout
    def retrieve(self, request: Request, id: str) -> Response:
        """Return a roll-out, and what has become of it on each host."""
        return Response({"success": True, "rollout": rollout_document(services.get(id))})

    @schemas.apply_to_hosts
    def apply(self, request: Request) -> Response:
        """Apply a list of programs to hosts, or return what that would change."""
        values = checked(FleetApplySerializer, request.data)
        return _begun(request, Rollout.Kind.APPLY, values)

    @schemas.batch_on_hosts
    def batch(self, request: Request) -> Response:
        """Do something with programs of hosts, or tell what that would do."""
        values = checked(FleetBatchSerializer, request.data)
        return _begun(request, Rollout.Kind.BATCH, values)

    @schemas.pause_rollout
    def pause(self, request: Request, id: str) -> Response:
        """Begin with no further host."""
        return _steered(request, "pause", id)

    @schemas.resume_rollout
    def resume(self, request: Request, id: str) -> Response:
        """Go on with a roll-out that was paused."""
        return _steered(request, "resume", id)

    @schemas.cancel_rollout
    def cancel(self, request: Request, id: str) -> Response:
        """Skip the hosts that are still pending."""
        return _steered(request, "cancel", id)

    @schemas.roll_back_rollout
    def rollback(self, request: Request, id: str) -> Response:
        """Take back what was changed on each host."""
        return _steered(request, "rollback", id)


def _begun(request: Request, kind: str, values: dict[str, Any]) -> Response:
    user = request.user.get_username()
    rollout = _wanted(kind, values, dict(request.data))
    if values["dry_run"]:
        _require(request, needed_to_rehearse(kind, rollout.body))
        return Response({"success": True, "dry_run": True, "hosts": services.rehearse(rollout, user)})
    _require(request, needed(kind, rollout.body))
    begun = services.begin(rollout, user, wait=values["wait"])
    return Response({"success": True, "dry_run": False, "rollout": rollout_document(begun)})


def _wanted(kind: str, values: dict[str, Any], sent: dict[str, Any]) -> Wanted:
    """Return what is wanted: the hosts get what the client has sent, as it was sent."""
    options = ("at_once", "max_failures", "settle_seconds", "skip_lost", "paused")
    return Wanted(
        kind=kind,
        body={name: value for name, value in sent.items() if name not in OWN_FIELDS},
        targets=Targets(**values["hosts"]),
        **{name: values[name] for name in options},
    )


def _steered(request: Request, verb: str, id: str) -> Response:
    present = services.get(id)
    _require(request, needed_to_steer(verb, present.kind, present.body))
    checked(NoFieldsSerializer, request.data)
    rollout = services.VERBS[verb](id, request.user.get_username())
    return Response({"success": True, "rollout": rollout_document(rollout)})


def _require(request: Request, permissions: list[str]) -> None:
    if not request.user.has_perms(permissions):
        raise PermissionDenied("You do not have the permission to do this")
