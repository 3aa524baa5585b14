"""Hosts in the admin: what was last heard of each, and the form that adds and changes them."""

from collections.abc import Iterable
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from daemon_programs.admin.presentation.badges import Severity, badge
from daemon_programs.admin.presentation.times import ago
from daemon_programs.admin.records import StateFilter
from fleet import database
from fleet.admin.forms import HostForm
from fleet.models import Host, Link
from fleet.registry import checking, hosts
from fleet.registry.documents import link_of, problem_of

_SEVERITIES = {
    Link.State.NEW: Severity.NEUTRAL,
    Link.State.CURRENT: Severity.GOOD,
    Link.State.LOST: Severity.BAD,
    Link.State.REFUSED: Severity.BAD,
}


class LinkFilter(StateFilter):
    """Filter hosts by how it stands with their links."""

    states = tuple(Link.State.values)

    def queryset(self, request: HttpRequest, rows: QuerySet[Host]) -> QuerySet[Host]:
        if self.value() == Link.State.NEW:
            return rows.filter(link=None) | rows.filter(link__state=Link.State.NEW)
        return rows.filter(link__state=self.value()) if self.value() in self.states else rows


@admin.register(Host)
class HostAdmin(admin.ModelAdmin):
    """The hosts of this hub."""

    form = HostForm
    list_display = ["name", "url", "state", "heard", "version", "problem"]
    list_filter = [LinkFilter]
    list_select_related = ["link"]
    search_fields = ["name", "url", "notes"]
    show_full_result_count = False
    actions = ["ask"]

    class Media:
        css = {"all": ["daemon_programs/css/forms.css"]}

    def get_fieldsets(self, request: HttpRequest, obj: Host | None = None) -> Any:
        """Return the form; of a host that is there, after what was last heard of it."""
        may_save = self.has_change_permission(request, obj) if obj else True
        form = ["name", "url", "ca", *(["token"] if may_save else []), "labels", "notes"]
        heard = ["state", "heard", "version", "problem", "added"]
        return [*([("Last heard", {"fields": heard})] if obj else []), (None, {"fields": form})]

    def get_readonly_fields(self, request: HttpRequest, obj: Host | None = None) -> list[str]:
        """Return what is only shown: the name stays, since the history and other pages call a host by it."""
        return ["name", "state", "heard", "version", "problem", "added"] if obj else []

    def get_deleted_objects(self, objs: Iterable[Host], request: HttpRequest) -> Any:
        """Return the hosts alone: copies go with them, can't be deleted for themselves, and may be many."""
        names = [str(host) for host in objs]
        return names, {self.opts.verbose_name_plural: len(names)}, set(), []

    def has_check_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may have hosts asked."""
        return self.has_view_permission(request) and request.user.has_perm("fleet.operate_host")

    @admin.action(description="Check selected hosts", permissions=["check"])
    def ask(self, request: HttpRequest, rows: QuerySet[Host]) -> None:
        """Ask each host now, and say what it has answered."""
        for host in rows:
            _ask(request, host)

    def save_model(self, request: HttpRequest, obj: Host, form: Any, change: bool) -> None:
        """Save a host; of a new one, also who has added it. Ask it then, if the way to it is another one."""
        if not change:
            obj.added_by = request.user.get_username()
        super().save_model(request, obj, form, change)
        if {"url", "ca", "token"} & set(form.changed_data):
            # Not before: a host that doesn't answer would keep all others from writing.
            transaction.on_commit(partial(_ask, request, obj), using=database.alias())

    def delete_model(self, request: HttpRequest, obj: Host) -> None:
        """Remove a host as the API does, which keeps followers from writing of it meanwhile."""
        hosts.remove_host(obj.name, user=request.user.get_username())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Host]) -> None:
        """Remove hosts, each for itself: followers write of the others meanwhile."""
        for host in queryset:
            self.delete_model(request, host)

    @admin.display(description="state")
    def state(self, host: Host) -> SafeString:
        """Return how it stands with its link."""
        state = Link.State(link_of(host).state)
        return badge(state.value, severity=_SEVERITIES[state])

    @admin.display(description="heard")
    def heard(self, host: Host) -> str:
        """Return how old it is what is known of the host."""
        heard_at = link_of(host).heard_at
        return ago(heard_at) if heard_at else "never"

    @admin.display(description="version")
    def version(self, host: Host) -> str:
        """Return the version of its daemon."""
        return link_of(host).version

    @admin.display(description="problem")
    def problem(self, host: Host) -> str:
        """Return why nothing new is heard of it."""
        return problem_of(host)

    @admin.display(description="added")
    def added(self, host: Host) -> str:
        """Return when it was added, and the user that added it."""
        return f"{host.added_at:%Y-%m-%d %H:%M} by {host.added_by or 'an unknown user'}"


def _ask(request: HttpRequest, host: Host) -> None:
    """Ask a host, and say in a message what it has answered."""
    outcome = checking.ask(host)
    if outcome.problem:
        messages.warning(request, f"“{host}”: {outcome.problem.sentence}")
    else:
        version = f", with version {outcome.version}" if outcome.version else ""
        messages.success(request, f"“{host}” has answered within {outcome.milliseconds} ms{version}.")
