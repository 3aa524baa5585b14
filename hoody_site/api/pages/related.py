"""What belongs to a page of the browsable API: pages of the same program, and what can be done with it."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from django.urls import resolve, reverse
from rest_framework import exceptions, status
from rest_framework.request import Request

from hoody_site.api.pages.operations import Example, operation_of

SECTIONS = {
    "programs": "Programs",
    "statuses": "Status",
    "logs": "Logs",
    "events": "Events",
    "quick-start": "Quick start",
    "hosts": "Hosts",
    "fleet-status": "All hosts",
    "rollouts": "Roll-outs",
    "health": "Health",
    "ready": "Readiness",
    "machine": "Machine",
}


class Family(NamedTuple):
    """Routes that belong together: they have the same parameters in their paths."""

    pages: dict[str, str]
    verbs: list[str]


FAMILIES = [
    Family(
        {"programs": "All programs"},
        ["program-add", "programs-apply", "programs-batch", "programs-reset"],
    ),
    Family({"quick-start": "All temporary programs"}, ["quick-start"]),
    Family(
        {
            "program": "Configuration",
            "status": "Status",
            "program-logs": "Logs",
            "program-events": "Events",
            "program-deliveries": "Deliveries",
        },
        [
            "program-start",
            "program-stop",
            "program-restart",
            "program-reload",
            "program-signal",
            "program-input",
            "program-enable",
            "program-disable",
            "program-edit",
            "webhook-secret-rotate",
            "program-remove",
        ],
    ),
    Family({}, ["delivery-redeliver"]),
    Family({"hosts": "All hosts"}, ["host-add", "host-invite"]),
    Family({"host": "Host"}, ["host-check", "host-edit", "host-remove"]),
    Family(
        {
            "fleet-status": "Status of all hosts",
            "fleet-programs": "Programs of all hosts",
            "fleet-events": "Events of all hosts",
            "fleet-usage": "Usage of all hosts",
            "fleet-logs": "Logs of all hosts",
            "host-calls": "Calls",
        },
        ["fleet-quick-start"],
    ),
    Family({"request": "Request"}, []),
    Family({"rollouts": "All roll-outs"}, ["fleet-apply", "fleet-batch"]),
    Family(
        {"rollout": "Roll-out"},
        ["rollout-pause", "rollout-resume", "rollout-cancel", "rollout-rollback"],
    ),
    Family({"launch-status": "Status", "launch-logs": "Logs"}, ["launch-input", "launch-stop"]),
]
# A stream has no page, since it does not end.
STREAMS = {"program-log-stream", "logs-stream", "event-stream", "launch-log-stream", "fleet-event-stream"}
DESTRUCTIVE = {
    "fleet-apply",
    "host-remove",
    "program-remove",
    "programs-apply",
    "programs-reset",
    "rollout-rollback",
}


class Link(NamedTuple):
    """A page of the same family."""

    title: str
    address: str
    is_current: bool


class Verb(NamedTuple):
    """An operation as a form."""

    title: str
    description: str
    address: str
    examples: list[Example]
    is_destructive: bool
    is_current: bool


class Related(NamedTuple):
    """What a page links to and offers."""

    links: list[Link]
    verbs: list[Verb]


NOTHING = Related([], [])


def related_of(request: Request, route: str | None, status_code: int) -> Related:
    """Return what belongs to the page of a route, as far as the user may do it."""
    if not (status.is_success(status_code) or status_code == status.HTTP_405_METHOD_NOT_ALLOWED):
        return NOTHING
    family = next((family for family in FAMILIES if route in {*family.pages, *family.verbs}), None)
    if family is None or request.resolver_match is None:
        return NOTHING
    parameters = request.resolver_match.kwargs
    links = [
        Link(title, reverse(name, kwargs=parameters), name == route) for name, title in family.pages.items()
    ]
    return Related(links, list(_verbs(request, family, route, parameters)))


def _verbs(request: Request, family: Family, route: str | None, parameters: dict[str, str]) -> Iterable[Verb]:
    for name in family.verbs:
        address = reverse(name, kwargs=parameters)
        view_function = resolve(address).func
        view = view_function.cls(**view_function.initkwargs)  # type: ignore[attr-defined]
        view.request, view.args, view.kwargs = request, (), parameters
        view.action = view_function.actions["post"]  # type: ignore[attr-defined]
        operation = operation_of(view, "post")
        if operation is not None and _may(view, request):
            yield Verb(
                operation.title,
                operation.description,
                address,
                operation.examples or [Example("Empty body", "{}")],
                name in DESTRUCTIVE,
                name == route and name not in family.pages,
            )


def _may(view: Any, request: Request) -> bool:
    try:
        view.check_permissions(request)
    except exceptions.APIException:
        return False
    return True


class LinkedIds(NamedTuple):
    """The ids in a response that lead to pages: of which key, of which kind, to which route."""

    key: str
    kind: type[int | str]
    route: str

    def address_of(self, key: str, value: int | str) -> str | None:
        """Return the address that a member of the response leads to, if any."""
        if key != self.key or not isinstance(value, self.kind):
            return None
        return reverse(self.route, kwargs={"id": value})


LINKED_IDS = {
    "programs": LinkedIds("id", int, "program"),
    "statuses": LinkedIds("id", int, "status"),
    "events": LinkedIds("program_id", int, "program"),
    "rollouts": LinkedIds("id", int, "rollout"),
    "quick-start": LinkedIds("temporary_id", str, "launch-status"),
}
