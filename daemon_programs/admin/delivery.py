"""Webhooks on the operator's desk: what was delivered and what wasn't, once more, and a new secret."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString, mark_safe

from daemon_programs import timestamps
from daemon_programs.admin import presentation
from daemon_programs.admin.base import attempt
from daemon_programs.admin.records import RecordAdmin, StateFilter
from daemon_programs.models import Delivery, Program
from daemon_programs.text import to_number
from daemon_programs.webhooks import deliveries, signing

_LONGEST_SHOWN_URL = 60


class ProgramFilter(admin.SimpleListFilter):
    title = "program"
    parameter_name = "program"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        told = Program.objects.filter(webhooks__isnull=False).order_by("name")
        return [(str(id), name) for id, name in told.values_list("pk", "name")]

    def queryset(self, request: HttpRequest, rows: QuerySet[Delivery]) -> QuerySet[Delivery]:
        id = to_number(self.value() or "")
        return rows if id is None else rows.filter(program_id=id)


class DeliveryStateFilter(StateFilter):
    states = Delivery.STATES


@admin.register(Delivery)
class DeliveryAdmin(RecordAdmin):
    """To look at, and to have delivered once more."""

    list_display = ["created", "what", "to", "badge", "code", "took", "tried", "next_attempt_at"]
    list_display_links = ["created"]
    list_filter = [DeliveryStateFilter, ProgramFilter]
    list_select_related = ["event"]
    search_fields = ["event__name", "url", "webhook_id"]
    show_full_result_count = False
    fields = [
        *("created", "what", "url", "webhook_id", "badge", "error", "next_attempt_at", "all_attempts"),
    ]
    actions = ["redeliver"]

    class Media:
        css = {"all": ["daemon_programs/admin.css"]}

    def has_redeliver_permission(self, request: HttpRequest) -> bool:
        may_operate = request.user.has_perms(
            ["daemon_programs.view_program", "daemon_programs.operate_program"]
        )
        return self.has_view_permission(request) and may_operate

    @admin.action(description="Deliver selected webhooks once more", permissions=["redeliver"])
    def redeliver(self, request: HttpRequest, rows: QuerySet[Delivery]) -> None:
        """Each for itself, the oldest first: what is refused doesn't keep the others back."""
        again = [row for row in rows.order_by("id") if attempt(request, row, deliveries.redeliver)]
        if again:
            messages.success(request, f"On their way once more: {len(again)}.")

    @admin.display(description="time (UTC)", ordering="id")
    def created(self, delivery: Delivery) -> str:
        return timestamps.milliseconds(delivery.created_at)

    @admin.display(description="event")
    def what(self, delivery: Delivery) -> str:
        return str(delivery.event)

    @admin.display(description="URL", ordering="url")
    def to(self, delivery: Delivery) -> str:
        is_long = len(delivery.url) > _LONGEST_SHOWN_URL
        return f"{delivery.url[: _LONGEST_SHOWN_URL - 1]}…" if is_long else delivery.url

    @admin.display(description="state", ordering="state")
    def badge(self, delivery: Delivery) -> SafeString:
        return presentation.badge(delivery.state)

    @admin.display(description="last answer")
    def code(self, delivery: Delivery) -> str | None:
        last = _last(delivery)
        return str(last["code"]) if "code" in last else last.get("error")

    @admin.display(description="took")
    def took(self, delivery: Delivery) -> str | None:
        last = _last(delivery)
        return f"{last['milliseconds']} ms" if last else None

    @admin.display(description="attempts")
    def tried(self, delivery: Delivery) -> int:
        return len(delivery.attempts)

    @admin.display(description="attempts")
    def all_attempts(self, delivery: Delivery) -> SafeString:
        rows = format_html_join(
            "",
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{} ms</td></tr>",
            (
                (each["at"], each.get("code", ""), each.get("error", "delivered"), each["milliseconds"])
                for each in delivery.attempts
            ),
        )
        head = mark_safe("<tr><th>Time (UTC)</th><th>Answer</th><th>Outcome</th><th>Took</th></tr>")
        return format_html("<table>{}{}</table>", head, rows) if rows else mark_safe("None yet.")


def _last(delivery: Delivery) -> dict[str, Any]:
    return delivery.attempts[-1] if delivery.attempts else {}


def beside(program: Program, *, may_change: bool) -> dict[str, Any] | None:
    """Of a program's webhooks what its own page shows; nothing if it has none."""
    if program.webhooks is None:
        return None
    found = Delivery.objects.filter(program_id=program.pk).order_by()
    numbers = dict(found.values_list("state").annotate(Count("id")))
    page = reverse("admin:daemon_programs_delivery_changelist")
    return {
        "numbers": [(state, numbers[state]) for state in Delivery.STATES if state in numbers],
        "all": f"{page}?{urlencode({'program': program.pk})}",
        "may_change": may_change,
    }


def new_secret_view(page: Any, request: HttpRequest, object_id: str) -> HttpResponse:
    """The button for a new secret, on the page of a program: it is shown this once."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    program = page.get_object(request, unquote(object_id))
    if not page.has_change_permission(request, program):
        raise PermissionDenied
    if program is None:
        return HttpResponseBadRequest("There is no such program")
    secrets: list[str] = []
    if attempt(request, program, lambda program: secrets.append(signing.rotate(program))):
        page.log_change(request, program, "New webhook secret.")
        text = "The new webhook secret, shown this once: <code>{}</code>"
        messages.success(request, format_html(text, *secrets))
    return redirect("admin:daemon_programs_program_change", program.pk)
