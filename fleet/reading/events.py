"""The events of all hosts, in the order in which the hub has recorded them."""

from collections.abc import Sequence
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from daemon_programs.validators.labels import Selector
from fleet.models import FollowedEvent
from fleet.reading.hosts import KnownHost
from fleet.reading.programs import with_labels


def matching(
    hosts: Sequence[KnownHost], query: dict[str, Any], *, is_of_all: bool
) -> QuerySet[FollowedEvent]:
    """Return the events of hosts that a query selects; ``is_of_all`` says that these are all hosts.

    The label of an event is one that its program has now.
    """
    events = FollowedEvent.objects.order_by()
    if not is_of_all:
        events = events.filter(host__in=[host.id for host in hosts])
    if "state" in query:
        events = events.filter(state=query["state"])
    if "since" in query:
        events = events.filter(at__gte=query["since"])
    labels: Sequence[Selector] = query.get("label", ())
    if labels:
        labelled = with_labels(labels).filter(host=OuterRef("host"), program_id=OuterRef("program_id"))
        events = events.filter(Exists(labelled))
    return events


def event_document(event: FollowedEvent, host: str) -> dict[str, Any]:
    """Return an event as ``GET fleet/events`` and its stream show it; the host's own has the host's id."""
    return {"id": event.pk, "host": host, "event": event.document}
