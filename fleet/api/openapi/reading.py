"""Describe the routes that read over all hosts for the OpenAPI document."""

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_serializer
from rest_framework import serializers

from daemon_programs.api.openapi import events as event_schemas
from daemon_programs.api.openapi import merged_logs as log_schemas
from daemon_programs.api.openapi.examples import RUNNING, WEB, response_example
from daemon_programs.api.openapi.extensions import LABEL
from daemon_programs.api.openapi.parameters import LOG_QUERY, PAGE, TEXT, TIME_SCHEMA, query
from daemon_programs.api.openapi.responses import ListedProgram, Success
from daemon_programs.api.openapi.streams import EVENT_ID, resumable, stream_examples
from daemon_programs.api.openapi.streams import stream as stream_schema
from daemon_programs.programs.observed.statuses import STATUSES
from daemon_programs.programs.selection import STATES
from daemon_programs.serializers.list_queries import MOST_TEXT
from daemon_programs.validators.labels import MAX_LABELS
from fleet.models import Link
from fleet.reading.logs import MAX_HOSTS
from fleet.reading.programs import SORTS
from fleet.serializers.reading import MAX_NAMES

_TAGS = ["hosts"]


class Freshness(serializers.Serializer):
    """How old what is known of a host is."""

    name = serializers.CharField()
    state = serializers.ChoiceField(
        choices=Link.State.values,
        help_text="`current`: it is true now. `lost`: the host is not heard of. `refused`: it does not take "
        "the hub's token. `new`: it was not heard of yet.",
    )
    heard_at = serializers.DateTimeField(allow_null=True, help_text="Until when it was true.")
    age_seconds = serializers.FloatField(allow_null=True)
    error = serializers.CharField(required=False, help_text="Why it is not current.")


class _Ages(Success):
    """An answer from what hosts have told."""

    hosts = Freshness(many=True, help_text="The hosts of this page, and all chosen that are not current.")


class FleetProgram(serializers.Serializer):
    """A program of a host."""

    host = serializers.CharField()
    age_seconds = serializers.FloatField(allow_null=True)
    program = ListedProgram(help_text="The host's own document, with `status`.")


@extend_schema_serializer(many=False)
class FleetProgramsAnswer(_Ages):
    """A page of the programs of hosts."""

    programs = FleetProgram(many=True)
    next = serializers.CharField(allow_null=True, help_text="The `cursor` of the next page, or null.")


class HostStatus(Freshness):
    """How many programs of a host are in which state."""

    version = serializers.CharField(allow_blank=True, help_text="That of its daemon.")
    counts = serializers.DictField(child=serializers.IntegerField())
    problems = serializers.IntegerField(help_text="Programs that are `fatal`, in `backoff` or `unknown`.")


@extend_schema_serializer(many=False)
class FleetStatusAnswer(Success):
    """How many programs are in which state."""

    counts = serializers.DictField(child=serializers.IntegerField(), help_text="Programs by state.")
    host_counts = serializers.DictField(child=serializers.IntegerField(), help_text="Hosts by state.")
    hosts = HostStatus(many=True, help_text="Those that are away first, then those with problems.")


class FleetEvent(serializers.Serializer):
    """An event of a host."""

    id = serializers.IntegerField(help_text="The hub's. They ascend in the order of recording.")
    host = serializers.CharField()
    event = event_schemas.EventShape(help_text="The host's own.")


@extend_schema_serializer(many=False)
class FleetEventsAnswer(_Ages):
    """A page of the events of hosts."""

    events = FleetEvent(many=True)
    next = serializers.CharField(allow_null=True, help_text="The `cursor` of the next page, or null.")


class UsageMinute(serializers.Serializer):
    """What the programs of a host have used in one minute."""

    minute = serializers.DateTimeField()
    cpu_percent = serializers.FloatField()
    memory_bytes = serializers.IntegerField()


class HostUsageShape(Freshness):
    """The usage of a host's programs."""

    usage = UsageMinute(many=True, help_text="Oldest first.")


@extend_schema_serializer(many=False)
class FleetUsageAnswer(Success):
    """The usage of hosts."""

    hosts = HostUsageShape(many=True)


class FleetLine(log_schemas.MergedLine):
    """A line of a log of a host."""

    host = serializers.CharField()


class FleetLogProblem(log_schemas.LogProblem):
    """A log that a host can't read."""

    host = serializers.CharField()


class AskedHost(serializers.Serializer):
    """Whether a host has answered."""

    name = serializers.CharField()
    error = serializers.CharField(required=False, help_text="Why there are no lines of it.")
    code = serializers.CharField(required=False, help_text="The same as a stable word.")


@extend_schema_serializer(many=False)
class FleetLogsAnswer(Success):
    """The newest lines of the logs of hosts."""

    lines = FleetLine(many=True)
    hosts = AskedHost(many=True)
    problems = FleetLogProblem(many=True, required=False)
    truncated = serializers.BooleanField(required=False, help_text="True if lines may be missing.")


_LABELS: dict[str, Any] = {
    "type": "array",
    "maxItems": MAX_LABELS,
    "items": {"type": "string", "pattern": LABEL},
}
_HOSTS = [
    query(
        "host",
        {"type": "array", "maxItems": MAX_NAMES, "items": {"type": "string"}},
        "Only hosts with this name, which may be a glob (`web-*`). Repeatable. Another name is a 404.",
        explode=True,
    ),
    query(
        "host_label",
        _LABELS,
        "Only hosts with this label, as `key=value`, or with any label of this `key`. Repeatable: they must "
        "have all of them.",
        explode=True,
    ),
]
_LABEL = query("label", _LABELS, "Only programs with this label, likewise.", explode=True)
_STATE_OF_EVENTS = query("state", {"type": "string", "enum": list(STATUSES)}, "Only changes to this state.")

_AGE = {"state": "current", "heard_at": "2026-11-21T18:40:01.000Z", "age_seconds": 1.2}
_HOST = {"name": "web-1", **_AGE}
_LOST = {
    "name": "web-2",
    "state": "lost",
    "heard_at": "2026-11-21T18:37:00.000Z",
    "age_seconds": 182.0,
    "error": "Host 'web-2' can't be reached: Connection refused",
}
_EVENT = {"id": 90210, "host": "web-1", "event": event_schemas.EXAMPLE}

programs = extend_schema(
    tags=_TAGS,
    operation_id="listFleetPrograms",
    summary="List the programs of all hosts",
    description=(
        "As the hosts have last told. Without `sort`, in the order of hosts and of their ids. By `cpu` and "
        "`memory` programs that don't run come first, in reverse order last."
    ),
    parameters=[
        *_HOSTS,
        _LABEL,
        query(
            "state",
            {"type": "array", "minItems": 1, "items": {"type": "string", "enum": list(STATES)}},
            "Only programs in this state. Repeatable: they must be in any of them.",
            explode=True,
        ),
        query(
            "q",
            {"type": "string", "minLength": 1, "maxLength": MOST_TEXT, "pattern": TEXT},
            "Only programs that have this text in their name, command or description, in any letter case.",
        ),
        query(
            "sort",
            {"type": "string", "enum": [order for sort in SORTS for order in (sort, f"-{sort}")]},
            "The order of the list; with `-` the reverse.",
        ),
        PAGE[0],
        query(
            "cursor",
            {"type": "string", "pattern": "^[A-Za-z0-9_-]+$"},
            "The `next` of an earlier response with the same `sort`: the list goes on after that.",
        ),
    ],
    responses=FleetProgramsAnswer,
    examples=[
        response_example(
            "A page",
            programs=[{"host": "web-1", "age_seconds": 1.2, "program": {**WEB, "status": RUNNING}}],
            hosts=[_HOST, _LOST],
            next="WyJob3N0IiwgIndlYi0xIiwgMV0",
        )
    ],
)
status = extend_schema(
    tags=_TAGS,
    operation_id="getFleetStatus",
    summary="Count the programs of all hosts by state",
    description="As the hosts have last told. Hosts that are away come first, then those with problems.",
    parameters=_HOSTS,
    responses=FleetStatusAnswer,
    examples=[
        response_example(
            "Two hosts",
            counts={"fatal": 1, "running": 41},
            host_counts={"current": 1, "lost": 1},
            hosts=[
                {**_LOST, "version": "1.0.0", "counts": {"fatal": 1, "running": 20}, "problems": 1},
                {**_HOST, "version": "1.0.0", "counts": {"running": 21}, "problems": 0},
            ],
        )
    ],
)
events = extend_schema(
    tags=_TAGS,
    operation_id="listFleetEvents",
    summary="List the events of all hosts",
    description="State changes as the hub has heard of them, newest first.",
    parameters=[
        *_HOSTS,
        _LABEL,
        query("since", TIME_SCHEMA, "Only events at this time or later; `10m` is 10 minutes ago."),
        _STATE_OF_EVENTS,
        *PAGE,
    ],
    responses=FleetEventsAnswer,
    examples=[response_example("A page", events=[_EVENT], hosts=[_HOST], next="90210")],
)
stream = stream_schema(
    tags=_TAGS,
    operation_id="streamFleetEvents",
    summary="Follow the events of all hosts",
    description=(
        "As Server-Sent Events: `state`, with the data of `GET fleet/events`, within a second after the hub "
        "has heard of them. The stream begins with the next event, or is resumed after the one in the header "
        "`Last-Event-ID`. `reset` `{reason: purged}`: events in between were removed because of their age."
    ),
    parameters=[*resumable(EVENT_ID), *_HOSTS, _STATE_OF_EVENTS],
    examples=stream_examples(("90210", "state", _EVENT)),
)
usage = extend_schema(
    tags=_TAGS,
    operation_id="getFleetUsage",
    summary="Get the usage of hosts by the minute",
    description="What all programs of each host have used together, at most of the last day.",
    parameters=[*_HOSTS, query("since", TIME_SCHEMA, "From this time on; without it, of the last hour.")],
    responses=FleetUsageAnswer,
    examples=[
        response_example(
            "A minute",
            hosts=[
                {
                    **_HOST,
                    "usage": [
                        {"minute": "2026-11-21T18:39:00.000Z", "cpu_percent": 12.5, "memory_bytes": 734003200}
                    ],
                }
            ],
        )
    ],
)
logs = extend_schema(
    tags=_TAGS,
    operation_id="getFleetLogs",
    summary="Read the logs of several hosts",
    description=(
        f"Logs are kept on the hosts, so these are asked: at most {MAX_HOSTS}, side by side, for up to 5 "
        "seconds each. What keeps a host from answering is told in `hosts`. The lines are merged by time."
    ),
    parameters=[*_HOSTS, *log_schemas.SELECTED, LOG_QUERY[1]],
    responses=FleetLogsAnswer,
    examples=[
        response_example(
            "Two hosts",
            lines=[{"host": "web-1", **log_schemas.LINE}],
            hosts=[{"name": "web-1"}, {"name": "web-2", "error": _LOST["error"], "code": "host_unreachable"}],
        )
    ],
)
