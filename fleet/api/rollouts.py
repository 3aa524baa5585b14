"""The routes of roll-outs."""

from typing import Any

from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from daemon_programs.api.base import ADD, CHANGE, REMOVE, VIEW, DaemonViewSet, checked
from daemon_programs.api.batch import PERMISSIONS
from daemon_programs.api.paging import page
from daemon_programs.serializers.verbs import NoFieldsSerializer
from fleet.api import rollout_operations as schemas
from fleet.models import Rollout
from fleet.rollouts import services
from fleet.rollouts.representation import listed_rollouts, rollout_document
from fleet.rollouts.services import Wanted
from fleet.rollouts.targets import Targets
from fleet.serializers.rollouts import (
    OWN_FIELDS,
    FleetApplySerializer,
    FleetBatchSerializer,
    RolloutQuerySerializer,
)

SEE = ["fleet.view_host", *VIEW]
STEER = [*SEE, "fleet.operate_host"]


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
        return _begun(request, Rollout.Kind.APPLY, values, _needed_for_apply(values["prune"]))

    @schemas.batch_on_hosts
    def batch(self, request: Request) -> Response:
        """Do something with programs of hosts, or tell what that would do."""
        values = checked(FleetBatchSerializer, request.data)
        return _begun(request, Rollout.Kind.BATCH, values, PERMISSIONS[values["action"]])

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
        """Skip the hosts that nobody has begun with."""
        return _steered(request, "cancel", id)

    @schemas.roll_back_rollout
    def rollback(self, request: Request, id: str) -> Response:
        """Take back what was changed on each host."""
        return _steered(request, "rollback", id)


def needed_to_steer(rollout: Rollout) -> list[str]:
    """Return the permissions for a roll-out's verbs: those that it took to begin it."""
    if rollout.kind == Rollout.Kind.APPLY:
        return [*STEER, *_needed_for_apply(rollout.body.get("prune", False))]
    return [*STEER, *PERMISSIONS[rollout.body["action"]]]


def _needed_for_apply(prunes: bool) -> list[str]:
    """Return the permissions for an apply. What each host's plan will do is not known before."""
    return [*ADD, *CHANGE, *(REMOVE if prunes else [])]


def _begun(request: Request, kind: str, values: dict[str, Any], needed: list[str]) -> Response:
    user = request.user.get_username()
    rollout = _wanted(kind, values, dict(request.data))
    if values["dry_run"]:
        # As for the hosts' own routes: a plan is for those who may view, what a verb would do isn't.
        _require(request, [] if kind == Rollout.Kind.APPLY else needed)
        return Response({"success": True, "dry_run": True, "hosts": services.rehearse(rollout, user)})
    _require(request, [*STEER, *needed])
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
    _require(request, needed_to_steer(services.get(id)))
    checked(NoFieldsSerializer, request.data)
    rollout = services.VERBS[verb](id, request.user.get_username())
    return Response({"success": True, "rollout": rollout_document(rollout)})


def _require(request: Request, permissions: list[str]) -> None:
    if not request.user.has_perms(permissions):
        raise PermissionDenied("You do not have the permission to do this")
