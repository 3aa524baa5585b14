"""Roll-outs in the admin: a list, and a page with what becomes of each host, and buttons."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.safestring import SafeString

from daemon_programs.admin.base import attempt
from daemon_programs.admin.presentation.badges import Severity, badge
from daemon_programs.admin.presentation.times import ago
from daemon_programs.admin.records import RecordAdmin, StateFilter
from fleet.models import Rollout, RolloutPart
from fleet.models.rollout import STATES
from fleet.rollouts import handing, services
from fleet.rollouts.permissions import SEE, needed_to_steer

_State = Rollout.State
_SEVERITIES = {
    "running": Severity.BUSY,
    "rolling_back": Severity.BUSY,
    "paused": Severity.WARNING,
    "succeeded": Severity.GOOD,
    "failed": Severity.BAD,
    "unknown": Severity.BAD,
}
# The verbs that fit each state; all of them are posted, each by the name of its button.
_FITTING = {
    _State.RUNNING: ("pause", "cancel", "rollback"),
    _State.PAUSED: ("resume", "cancel", "rollback"),
    _State.SUCCEEDED: ("rollback",),
    _State.FAILED: ("rollback",),
    _State.CANCELLED: ("rollback",),
}
_TITLES = {"pause": "Pause", "resume": "Resume", "cancel": "Cancel", "rollback": "Roll back"}
_DONE = {"pause": "Paused", "resume": "Resumed", "cancel": "Cancelled", "rollback": "Rolling back"}


class RolloutStateFilter(StateFilter):
    """Filter roll-outs by state."""

    states = STATES


class RolloutRows(ChangeList):
    """A page of the list, with how many hosts there are of each state."""

    def get_results(self, request: HttpRequest) -> None:
        """Find the roll-outs of the page."""
        super().get_results(request)
        self.result_list = list(self.result_list)
        counts = handing.count_each(self.result_list)
        for rollout in self.result_list:
            rollout.counts = counts[rollout.pk]


@admin.register(Rollout)
class RolloutAdmin(RecordAdmin):
    """The roll-outs, which can be viewed and steered."""

    list_display = ["began", "kind", "user", "badge", "hosts"]
    list_display_links = ["began"]
    list_filter = [RolloutStateFilter]
    show_full_result_count = False
    fields = ["began", "kind", "user", "badge", "at_once", "max_failures", "settle_seconds", "body"]

    def get_urls(self) -> list[URLPattern]:
        """Add the address of the buttons."""
        view = self.admin_site.admin_view(self.steer_view)
        return [path("<path:object_id>/steer/", view, name="fleet_rollout_steer"), *super().get_urls()]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the class of the list."""
        return RolloutRows

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Return whether the user sees roll-outs."""
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user sees roll-outs, by the rule of the API."""
        return request.user.has_perms(SEE)

    def has_steer_permission(self, request: HttpRequest, rollout: Rollout, verb: str) -> bool:
        """Return whether the user may press a button of a roll-out."""
        return request.user.has_perms(needed_to_steer(verb, rollout.kind, rollout.body))

    @admin.display(description="time", ordering="id")
    def began(self, rollout: Rollout) -> SafeString:
        """Return how long ago it was begun."""
        return ago(rollout.made_at)

    @admin.display(description="state", ordering="state")
    def badge(self, rollout: Rollout) -> SafeString:
        """Return the state as a badge."""
        return _badge(rollout.state, rollout.get_state_display())

    @admin.display(description="hosts")
    def hosts(self, rollout: Rollout) -> str:
        """Return how many hosts there are of each state: "3 succeeded, 1 failed"."""
        counts = rollout.counts  # type: ignore[attr-defined]  # of the list
        words = RolloutPart.State
        return ", ".join(f"{counts[state]} {state.label}" for state in words if counts[state]) or "none"

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Render the page with the buttons that fit, and what has become of each host."""
        rollout = kwargs.get("obj")
        if rollout is not None:
            parts = rollout.parts.only("host", "state", "error", "attempts", "started_at", "ended_at")
            context["parts"] = [_row(part) for part in parts]
            context["verbs"] = self._verbs(request, rollout)
        return super().render_change_form(request, context, *args, **kwargs)

    def steer_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Handle a button, which has the name of a verb."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        rollout = self.get_object(request, unquote(object_id)) if self.has_view_permission(request) else None
        if rollout is None and self.has_view_permission(request):
            raise Http404("This roll-out does not exist.")
        verb = request.POST.get("verb", "")
        if rollout is None or not self.has_steer_permission(request, rollout, verb):
            raise PermissionDenied
        if verb not in services.VERBS:
            raise Http404("There is no such button.")
        user = request.user.get_username()
        if attempt(request, rollout, lambda rollout: services.VERBS[verb](rollout.pk, user)):
            self.log_change(request, rollout, f"{_DONE[verb]}.")
            messages.success(request, f"{_DONE[verb]}: {rollout}.")
        return redirect("admin:fleet_rollout_change", rollout.pk)

    def _verbs(self, request: HttpRequest, rollout: Rollout) -> list[tuple[str, str]]:
        """Return the buttons that fit and that the user may press, as names and titles."""
        is_batch = rollout.kind == Rollout.Kind.BATCH
        return [
            (name, _TITLES[name])
            for name in _FITTING.get(_State(rollout.state), ())
            if not (is_batch and name == "rollback") and self.has_steer_permission(request, rollout, name)
        ]


def _row(part: RolloutPart) -> dict[str, Any]:
    """Return what the page shows of a host."""
    since = part.ended_at or part.started_at
    return {
        "host": part.host,
        "badge": _badge(part.state, part.get_state_display()),
        "since": ago(since) if since else "",
        "attempts": part.attempts,
        "error": part.error,
    }


def _badge(state: str, label: str) -> SafeString:
    return badge(label, "", _SEVERITIES.get(state, Severity.NEUTRAL))
