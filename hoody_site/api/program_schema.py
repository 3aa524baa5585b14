"""``/api/programs.schema.json``: the JSON Schema of the files that ``daemonctl apply`` reads.

It is made from the OpenAPI document of ``programs/apply``, so it has the fields, the limits and the
descriptions that the API has. Editors check files with it, and say what a field is for.
"""

import json
from functools import cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator

from daemon_programs.api.urls import urlpatterns
from daemon_programs.serializers.program import ProgramSerializer

CONTENT_TYPE = "application/schema+json"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REQUIRED = ("command", "user")  # of each program, unless the defaults have it
_VARIABLE = {"$ref": "#/$defs/Variable"}
_OWN_KEYS: dict[str, Any] = {
    "$schema": {"type": "string", "description": "The address of this schema, for editors."},
    "env_file": {
        "type": "string",
        "minLength": 1,
        "description": "A file of variables; its path is relative to this file. The environment wins.",
    },
}
_KEYS_OF_REQUEST = ("set", "defaults", "programs")


@csrf_exempt  # so that a POST is refused for its method
@require_safe
def program_schema(request: HttpRequest) -> HttpResponse:
    """Return the schema. It says nothing that the OpenAPI document does not, and needs no token either."""
    return HttpResponse(_text(), content_type=CONTENT_TYPE)


@cache
def _text() -> str:
    return json.dumps(make_schema(), indent=2) + "\n"


def make_schema() -> dict[str, Any]:
    """Return the schema of a file of programs."""
    routes = [each for each in urlpatterns if each.name == "programs-apply"]
    schemas = SchemaGenerator(patterns=routes).get_schema(public=True)["components"]["schemas"]
    body = schemas["ApplyRequest"]["properties"]
    return {
        "$schema": _DIALECT,
        "title": "Programs of a daemon",
        "description": "A file for `daemonctl apply`. Values may have variables: ${NAME}, ${NAME:-default}.",
        "type": "object",
        "properties": {**_OWN_KEYS, **{name: _converted(body[name]) for name in _KEYS_OF_REQUEST}},
        "required": ["programs"],
        "additionalProperties": False,
        "allOf": [_in_each_or_in_defaults(name) for name in _REQUIRED],
        "$defs": {
            **{name: _component(schemas[name]) for name in _names_below(body, schemas)},
            "Variable": {"type": "string", "pattern": r"\$\{[A-Za-z_]"},
        },
    }


def _names_below(node: Any, schemas: dict[str, Any]) -> list[str]:
    """Return the names of the components that a part of the file refers to, directly or not."""
    parts = {name: node[name] for name in _KEYS_OF_REQUEST}
    found: list[str] = []
    remaining = list(_references(parts))
    while remaining:
        name = remaining.pop(0)
        if name not in found:
            found.append(name)
            remaining += _references(schemas[name])
    return sorted(found)


def _references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [name for each in node for name in _references(each)]
    if not isinstance(node, dict):
        return []
    own = [str(node["$ref"]).rpartition("/")[2]] if "$ref" in node else []
    return own + [name for each in node.values() for name in _references(each)]


def _component(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a component, without the keys that requests may repeat from responses."""
    properties = {
        name: each
        for name, each in schema.get("properties", {}).items()
        if name not in ProgramSerializer.ignored_keys
    }
    whole = {**schema, "properties": properties} if properties else schema
    return _converted({name: each for name, each in whole.items() if name != "description"})


def _converted(node: dict[str, Any]) -> dict[str, Any]:
    """Return a schema of OpenAPI 3.0 as one of JSON Schema, with variables where there are values."""
    schema = {name: each for name, each in node.items() if name not in ("nullable", "format", "example")}
    alternatives = [_converted(each) for each in schema.pop("oneOf", schema.pop("anyOf", []))]
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            schema[name] = _converted(schema[name])
    if "properties" in schema:
        schema["properties"] = {name: _converted(each) for name, each in schema["properties"].items()}
    if "allOf" in schema:
        schema["allOf"] = [_converted(each) for each in schema["allOf"]]
    if "$ref" in schema:
        schema["$ref"] = f"#/$defs/{str(schema['$ref']).rpartition('/')[2]}"
    told: dict[str, Any] = {name: schema.pop(name) for name in ("description", "default") if name in schema}
    is_value = schema.get("type") in ("string", "integer", "number", "boolean")
    if schema:
        alternatives.append(schema)
    if is_value:
        alternatives.append(_VARIABLE)
    if node.get("nullable"):
        alternatives.append({"type": "null"})
    if len(alternatives) == 1:
        return {**told, **alternatives[0]}
    return {**told, "anyOf": alternatives} if alternatives else told


def _in_each_or_in_defaults(name: str) -> dict[str, Any]:
    in_defaults = {"properties": {"defaults": {"required": [name]}}, "required": ["defaults"]}
    in_each = {"properties": {"programs": {"items": {"required": [name]}}}}
    return {"anyOf": [in_defaults, in_each]}
