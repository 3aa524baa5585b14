"""Describe the routes of the register of hosts for the OpenAPI document."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_serializer
from rest_framework import serializers

from daemon_programs.api.openapi import extensions
from daemon_programs.api.openapi.examples import request_example, response_example
from daemon_programs.api.openapi.parameters import LIST, query
from daemon_programs.api.openapi.responses import NextCursor, Success
from daemon_programs.serializers.verbs import NoFieldsSerializer
from daemon_programs.validators.labels import MAX_LABELS
from fleet.serializers.hosts import (
    STATES,
    HostAddSerializer,
    HostEditSerializer,
    InviteSerializer,
    JoinSerializer,
)

TAGS = ["hosts"]
NAME = OpenApiParameter("name", {"type": "string"}, OpenApiParameter.PATH, description="The host's name.")
_FILTERS = [
    query(
        "label",
        {
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_LABELS,
            "items": {"type": "string", "pattern": extensions.LABEL},
        },
        "Only hosts with this label: `team=web`, or `team` for any value. Repeatable: they must have all.",
        explode=True,
    ),
    query(
        "state",
        {"type": "array", "minItems": 1, "items": {"type": "string", "enum": list(STATES)}},
        "Only hosts in this state. Repeatable: they must be in any of them.",
        explode=True,
    ),
    query(
        "q",
        {"type": "string", "minLength": 1, "maxLength": 200},
        "Only hosts that have this text in their name, URL or notes, in any letter case.",
    ),
    *(parameter for parameter in LIST if parameter.name in ("limit", "cursor")),
]


class HostShape(serializers.Serializer):
    """A host, and what was last heard of it. Its token is in no answer."""

    name = serializers.CharField()
    url = serializers.CharField()
    labels = serializers.DictField(child=serializers.CharField())
    notes = serializers.CharField()
    state = serializers.ChoiceField(
        choices=STATES,
        help_text="`new`: not followed yet. `current`: what is known is as old as `age_seconds`. `lost`: it "
        "can't be reached. `refused`: it does not accept the token, or the token can't be read.",
    )
    since = serializers.DateTimeField(allow_null=True, help_text="Since when it is in this state.")
    heard_at = serializers.DateTimeField(
        allow_null=True, help_text="Until when what is known of it was true; null if nothing is."
    )
    age_seconds = serializers.FloatField(allow_null=True, help_text="How long ago that was.")
    version = serializers.CharField(allow_null=True, help_text="That of its daemon, once it is known.")
    error = serializers.CharField(allow_null=True, help_text="Why nothing new is heard of it.")
    added_at = serializers.DateTimeField()
    added_by = serializers.CharField(help_text="Who has added it, or invited it.")
    programs = serializers.DictField(
        child=serializers.IntegerField(),
        required=False,
        help_text="How many of its programs are in which state. Only with the permission to view programs.",
    )


class WholeHostShape(HostShape):
    """A host with its CA."""

    ca = serializers.CharField(help_text="The certificates that its own must lead to; empty: the system's.")


@extend_schema_serializer(many=False)
class HostListAnswer(Success):
    """A list of hosts."""

    hosts = HostShape(many=True)
    next = NextCursor()


class HostAnswer(Success):
    """One host."""

    host = WholeHostShape()


class HostNameAnswer(Success):
    """The name of a host."""

    name = serializers.CharField()


class CheckAnswer(Success):
    """What a host has answered."""

    reachable = serializers.BooleanField(help_text="A daemon answers at the URL.")
    token_accepted = serializers.BooleanField()
    version = serializers.CharField(allow_null=True, help_text="Null if the host doesn't tell it.")
    milliseconds = serializers.IntegerField(help_text="How long it took to ask.")
    problem = serializers.CharField(allow_null=True, help_text="What keeps the hub from using the host.")


class InviteAnswer(Success):
    """A one-time code."""

    code = serializers.CharField(help_text="Shown only this once.")
    name = serializers.CharField(allow_null=True, help_text="The host that it is for; null: any new one.")
    expires_at = serializers.DateTimeField()


_HOST: dict[str, Any] = {
    "name": "web-1",
    "url": "https://web-1.example.com:8000",
    "labels": {"site": "fra"},
    "notes": "rack 7",
    "state": "current",
    "since": "2026-11-21T18:00:00.000Z",
    "heard_at": "2026-11-21T18:40:00.000Z",
    "age_seconds": 1.2,
    "version": "1.1.0",
    "error": None,
    "added_at": "2026-11-20T08:00:00.000Z",
    "added_by": "alice",
    "programs": {"running": 41, "stopped": 3},
}
_LOST = {
    **_HOST,
    "name": "web-2",
    "url": "https://web-2.example.com:8000",
    "state": "lost",
    "age_seconds": 310.4,
    "error": "Host 'web-2' can't be reached: connection refused",
}
_SECRET = "hdt_yVPsAtL9zSA0fbwtOZ2ES3Wcbs8oxnK3zM8mQ8qUAc4"  # noqa: S105  (an example)
_CODE = "hdi_3w0yV1n5s8mQ2kVb7cZr4tXp9aLd6fGh"

list_hosts = extend_schema(
    tags=TAGS,
    operation_id="listHosts",
    summary="List hosts",
    description="By name, from what was last heard of them: no host is asked.",
    parameters=_FILTERS,
    responses=HostListAnswer,
    examples=[response_example("Two hosts", hosts=[_HOST, _LOST])],
)
retrieve_host = extend_schema(
    tags=TAGS,
    operation_id="getHost",
    summary="Get a host",
    description="Returns what is configured, and what was last heard.",
    parameters=[NAME],
    responses=HostAnswer,
    examples=[response_example("A host", host={**_HOST, "ca": ""})],
)
add_host = extend_schema(
    tags=TAGS,
    operation_id="addHost",
    summary="Add a host",
    description=(
        "Asks the host with the token first, and refuses what doesn't work with the field that is wrong, "
        "unless `check` is false. The token is stored encrypted, and never shown again."
    ),
    request=HostAddSerializer,
    responses=HostAnswer,
    examples=[
        request_example(
            "A host",
            name="web-1",
            url="https://web-1.example.com:8000",
            token=_SECRET,
            labels={"site": "fra"},
        ),
        response_example("Added", host={**_HOST, "ca": "", "state": "new", "programs": {}}),
    ],
)
edit_host = extend_schema(
    tags=TAGS,
    operation_id="editHost",
    summary="Change a host",
    description=(
        "Changes what is given. Another `url` or `ca` needs the `token` again, so that no one can have the "
        "stored one sent elsewhere. The name stays."
    ),
    parameters=[NAME],
    request=HostEditSerializer,
    responses=HostAnswer,
    examples=[
        request_example("Labels", labels={"site": "ams"}),
        request_example("Another address", url="https://web-1.example.net:8000", token=_SECRET),
        response_example("Changed", host={**_HOST, "ca": ""}),
    ],
)
remove_host = extend_schema(
    tags=TAGS,
    operation_id="removeHost",
    summary="Remove a host",
    description=(
        "Removes it with all that was kept of it. The host itself goes on, and its token stays valid there."
    ),
    parameters=[NAME],
    request=NoFieldsSerializer,
    responses=HostNameAnswer,
    examples=[request_example("Empty body"), response_example("Removed", name="web-1")],
)
check_host = extend_schema(
    tags=TAGS,
    operation_id="checkHost",
    summary="Check a host",
    description=(
        "Asks the host now: does a daemon answer at the URL, and does it accept the token? What is found is "
        "the answer, with 200, whatever it is."
    ),
    parameters=[NAME],
    request=NoFieldsSerializer,
    responses=CheckAnswer,
    examples=[
        request_example("Empty body"),
        response_example(
            "All well", reachable=True, token_accepted=True, version="1.1.0", milliseconds=21, problem=None
        ),
        response_example(
            "A wrong token",
            reachable=True,
            token_accepted=False,
            version=None,
            milliseconds=17,
            problem="The daemon at https://web-1.example.com:8000 does not accept the token",
        ),
    ],
)
invite_host = extend_schema(
    tags=TAGS,
    operation_id="inviteHost",
    summary="Invite a host",
    description=(
        "Makes a code with which a host adds itself, once, as `hoody-daemon join_hub` does. With the `name` "
        "of a host that is there, which needs the permission to change hosts, it replaces that host's "
        "address and token."
    ),
    request=InviteSerializer,
    responses=InviteAnswer,
    examples=[
        request_example("For one host, for ten minutes", name="web-1", labels={"site": "fra"}, ttl=600),
        response_example("A code", code=_CODE, name="web-1", expires_at="2026-11-21T18:50:00.000Z"),
    ],
)
join_hub = extend_schema(
    tags=TAGS,
    operation_id="joinHub",
    summary="Join a hub",
    description=(
        "Sent by a host, without a token: the code is the authentication. It is used up by the one request "
        "that succeeds. The hub asks the host first, unless `check` is false."
    ),
    auth=[],
    request=JoinSerializer,
    responses=HostNameAnswer,
    examples=[
        request_example("A host", code=_CODE, url="https://web-1.example.com:8000", token=_SECRET),
        response_example("Joined", name="web-1"),
    ],
)
