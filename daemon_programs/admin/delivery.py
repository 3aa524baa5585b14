"""Webhooks in the admin: the log of deliveries, redelivery, and rotation of a program's secret."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString, mark_safe

from daemon_programs.admin.base import attempt
from daemon_programs.admin.presentation.badges import Severity, badge
from daemon_programs.admin.presentation.links import linked, pages_of
from daemon_programs.admin.presentation.times import ago
from daemon_programs.admin.records import RecordAdmin, StateFilter
from daemon_programs.models import Delivery, Program
from daemon_programs.text import to_number
from daemon_programs.webhooks import deliveries, signing

_MAX_URL_CHARACTERS = 60


_SEVERITIES = {
    Delivery.PENDING: Severity.BUSY,
    Delivery.DELIVERED: Severity.GOOD,
    Delivery.FAILED: Severity.BAD,
    Delivery.CANCELLED: Severity.NEUTRAL,
}


class ProgramFilter(admin.SimpleListFilter):
    """Filter deliveries by program."""

    title = "program"
    parameter_name = "program"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the programs that have a webhook config."""
        with_webhooks = Program.objects.filter(webhooks__isnull=False).order_by("name")
        return [(str(id), name) for id, name in with_webhooks.values_list("pk", "name")]

    def queryset(self, request: HttpRequest, rows: QuerySet[Delivery]) -> QuerySet[Delivery]:
        """Return the deliveries of the chosen program; all if none, or no valid id, is chosen."""
        id = to_number(self.value() or "")
        return rows if id is None else rows.filter(program_id=id)


class DeliveryStateFilter(StateFilter):
    """Filter deliveries by state."""

    states = Delivery.STATES


class DeliveryRows(ChangeList):
    """A page of the delivery log, with links to the events and the programs."""

    def get_results(self, request: HttpRequest) -> None:
        """Find the deliveries of the page."""
        super().get_results(request)
        self.result_list = list(self.result_list)
        _find_pages(request, self.result_list)


@admin.register(Delivery)
class DeliveryAdmin(RecordAdmin):
    """The webhook deliveries, which can be viewed and redelivered."""

    list_display = ["created", "program", "what", "to", "badge", "code", "took", "tried", "next_attempt"]
    list_display_links = ["created"]
    list_filter = [DeliveryStateFilter, ProgramFilter]
    list_select_related = ["event"]
    search_fields = ["event__name", "url", "webhook_id"]
    show_full_result_count = False
    fields = [
        *("created", "program", "what", "url", "webhook_id", "badge", "error", "next_attempt"),
        "all_attempts",
    ]
    actions = ["redeliver"]

    def has_redeliver_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may redeliver: operate programs, and view deliveries."""
        may_operate = request.user.has_perms(
            ["daemon_programs.view_program", "daemon_programs.operate_program"]
        )
        return self.has_view_permission(request) and may_operate

    @admin.action(description="Redeliver selected webhooks", permissions=["redeliver"])
    def redeliver(self, request: HttpRequest, rows: QuerySet[Delivery]) -> None:
        """Redeliver each, oldest first. One that is refused does not affect the others."""
        queued = [row for row in rows.order_by("id") if attempt(request, row, deliveries.redeliver)]
        if queued:
            messages.success(request, f"Queued for redelivery: {len(queued)}.")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the class of the list."""
        return DeliveryRows

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Delivery | None:
        """Return a delivery with the pages that it leads to."""
        delivery: Delivery | None = super().get_object(request, object_id, from_field)
        _find_pages(request, [delivery] if delivery else [])
        return delivery

    @admin.display(description="time", ordering="id")
    def created(self, delivery: Delivery) -> SafeString:
        """Return how long ago it was created."""
        return ago(delivery.created_at)

    @admin.display(description="program")
    def program(self, delivery: Delivery) -> SafeString:
        """Return the name that the program had, with a link as long as the program exists."""
        return linked(delivery.event.name, getattr(delivery, "program_page", None))

    @admin.display(description="event")
    def what(self, delivery: Delivery) -> SafeString:
        """Return the event: the program and its states."""
        return linked(str(delivery.event), getattr(delivery, "event_page", None))

    @admin.display(description="next attempt", ordering="next_attempt_at")
    def next_attempt(self, delivery: Delivery) -> SafeString | None:
        """Return when it is tried next; None if it is not pending."""
        return ago(delivery.next_attempt_at) if delivery.next_attempt_at else None

    @admin.display(description="URL", ordering="url")
    def to(self, delivery: Delivery) -> str:
        """Return the URL, shortened to fit into the list."""
        is_long = len(delivery.url) > _MAX_URL_CHARACTERS
        return f"{delivery.url[: _MAX_URL_CHARACTERS - 1]}…" if is_long else delivery.url

    @admin.display(description="state", ordering="state")
    def badge(self, delivery: Delivery) -> SafeString:
        """Return the state as a badge."""
        return badge(delivery.state, "", _SEVERITIES[delivery.state])

    @admin.display(description="last response")
    def code(self, delivery: Delivery) -> str | None:
        """Return the HTTP status of the last attempt, or its error."""
        last = _last(delivery)
        return str(last["code"]) if "code" in last else last.get("error")

    @admin.display(description="duration")
    def took(self, delivery: Delivery) -> str | None:
        """Return how long the last attempt took."""
        last = _last(delivery)
        return f"{last['milliseconds']} ms" if last else None

    @admin.display(description="attempts")
    def tried(self, delivery: Delivery) -> int:
        """Return the number of attempts."""
        return len(delivery.attempts)

    @admin.display(description="attempts")
    def all_attempts(self, delivery: Delivery) -> SafeString:
        """Return a table of the attempts."""
        rows = format_html_join(
            "",
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{} ms</td></tr>",
            (
                (
                    ago(datetime.fromisoformat(each["at"])),
                    each.get("code", ""),
                    each.get("error", "delivered"),
                    each["milliseconds"],
                )
                for each in delivery.attempts
            ),
        )
        head = mark_safe("<tr><th>Time</th><th>Response</th><th>Outcome</th><th>Duration</th></tr>")
        return format_html("<table>{}{}</table>", head, rows) if rows else mark_safe("None yet.")


def _find_pages(request: HttpRequest, rows: Sequence[Delivery]) -> None:
    """Set the pages of the event and of the program of deliveries; None if there is none to see."""
    pages = pages_of(request.user, {row.event.group for row in rows})
    may_view_events = request.user.has_perm("daemon_programs.view_event")
    for row in rows:
        event_page = reverse("admin:daemon_programs_event_change", args=[row.event_id])
        row.event_page = event_page if may_view_events else None  # type: ignore[attr-defined]
        row.program_page = pages.get(row.event.group)  # type: ignore[attr-defined]


def _last(delivery: Delivery) -> dict[str, Any]:
    return delivery.attempts[-1] if delivery.attempts else {}


def summary_for_program(program: Program, *, may_change: bool) -> dict[str, Any] | None:
    """Return the template context of a program's deliveries, for its page; None without webhooks."""
    if program.webhooks is None:
        return None
    rows = Delivery.objects.filter(program_id=program.pk).order_by()
    counts = dict(rows.values_list("state").annotate(Count("id")))
    page = reverse("admin:daemon_programs_delivery_changelist")
    return {
        "counts": [(state, counts[state]) for state in Delivery.STATES if state in counts],
        "all": f"{page}?{urlencode({'program': program.pk})}",
        "may_change": may_change,
    }


def rotate_secret_view(program_admin: Any, request: HttpRequest, object_id: str) -> HttpResponse:
    """Rotate the webhook secret of a program, and show the new one in a message, only once."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    program = program_admin.get_object(request, unquote(object_id))
    if not program_admin.has_change_permission(request, program):
        raise PermissionDenied
    if program is None:
        raise Http404("This program does not exist, or not any more")
    secrets: list[str] = []
    if attempt(request, program, lambda program: secrets.append(signing.rotate(program))):
        program_admin.log_change(request, program, "New webhook secret.")
        text = "The new webhook secret, shown only once: <code>{}</code>"
        messages.success(request, format_html(text, *secrets))
    return redirect("admin:daemon_programs_program_change", program.pk)
