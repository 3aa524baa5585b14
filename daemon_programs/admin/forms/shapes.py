"""What `forms/rows.js` must know of a field of JSON to show it as rows: its *shape*, derived from its schema.

A shape is one of these, with `help` and `default` where the schema has a description and a default:

    {"kind": "text", "lines": …, "suggestions": …}
        lines: the text may have line breaks; suggestions: the address of what completes it
    {"kind": "number", "words": […]}       a number, or one of some words
    {"kind": "boolean"}
    {"kind": "choice", "choices": […]}
    {"kind": "fixed", "value": …}          the only value that there is
    {"kind": "set", "choices": […]}        a list of some of the choices
    {"kind": "list", "item": shape}
    {"kind": "map", "value": shape, "names": […], "secrets": […]}
        names: the only ones that there are; secrets: words in the names of values that are hidden
    {"kind": "object", "fields": {name: shape}, "required": […], "short": name}
        short: the key whose value alone may stand for the object
    {"kind": "variants", "variants": [{"title": name, "fields": …, …}]}
        one of some objects, each told by its title, a key that it requires
"""

from typing import Any

from django.urls import reverse

from daemon_programs.admin.presentation.values import SECRET_WORDS, WITH_SECRETS
from daemon_programs.models.fields import Kind, ProgramField
from daemon_programs.models.fields.webhooks import WEBHOOK_PROPERTIES
from daemon_programs.validators import webhook_config

Shape = dict[str, Any]
Schema = dict[str, Any]

JSON_KINDS = (Kind.STRINGS, Kind.WEBHOOKS, Kind.JSON)

_STRINGS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
_WEBHOOKS: Schema = {"type": "object", "properties": WEBHOOK_PROPERTIES}
# The choices of keys whose schema takes them in any case, and says so by a pattern.
_CHOICES = {"events": webhook_config.EVENTS}
# The keys whose text is completed, and the address that has the suggestions.
_SUGGESTIONS = {"program": "admin:daemon_programs_program_names"}


def shape_of(field: ProgramField) -> Shape:
    """Return the shape of a program's field of JSON."""
    return _shape(field.name, schema_of(field))


def schema_of(field: ProgramField) -> Schema:
    """Return the schema of a program's field of JSON."""
    schema = {Kind.STRINGS: _STRINGS, Kind.WEBHOOKS: _WEBHOOKS}.get(field.kind, field.schema)
    if schema is None:
        raise ValueError(f"The field '{field.name}' has no schema")
    return schema


def _shape(name: str, schema: Schema) -> Shape:
    told = {"help": schema.get("description"), "default": schema.get("default")}
    shape = (
        _alternatives(name, schema["oneOf"]) if "oneOf" in schema else _SHAPES[schema["type"]](name, schema)
    )
    return {**shape, **{key: value for key, value in told.items() if value is not None}}


def _alternatives(name: str, schemas: list[Schema]) -> Shape:
    """Return the shape of a value that one of several schemas describes."""
    if all("properties" in schema for schema in schemas):
        return {"kind": "variants", "variants": [_variant(name, schema) for schema in schemas]}
    types = {schema["type"]: schema for schema in schemas}
    if "array" in types:  # or one of its items, which is the same as a list with this item
        return _shape(name, types["array"])
    if "object" in types:
        whole = types["object"]
        [short] = whole["required"]
        return {**_object(name, whole), "short": short}
    return {**_number(name, types["integer"]), "words": types["string"]["enum"]}


def _variant(name: str, schema: Schema) -> Shape:
    [title] = schema["required"]
    return {"title": title, **_object(name, schema)}


def _object(name: str, schema: Schema) -> Shape:
    if schema.get("additionalProperties"):
        return _map(name, schema["additionalProperties"])
    properties: dict[str, Schema] = schema["properties"]
    one, *others = properties.values()
    if others and all(other is one for other in others):  # any of some names, all with the same kind of value
        return {**_map(name, one), "names": list(properties)}
    fields = {key: _shape(key, value) for key, value in properties.items()}
    return {"kind": "object", "fields": fields, "required": schema.get("required", [])}


def _map(name: str, schema: Schema) -> Shape:
    value = _shape("value", schema)
    if value["kind"] == "text" and "pattern" not in schema:
        value["lines"] = True
    secrets = {"secrets": SECRET_WORDS} if name in WITH_SECRETS else {}
    return {"kind": "map", "value": value, **secrets}


def _array(name: str, schema: Schema) -> Shape:
    if name in _CHOICES:
        return {"kind": "set", "choices": _CHOICES[name]}
    return {"kind": "list", "item": _shape("item", schema["items"])}


def _string(name: str, schema: Schema) -> Shape:
    if "enum" in schema:
        return {"kind": "choice", "choices": schema["enum"]}
    suggestions = {"suggestions": reverse(_SUGGESTIONS[name])} if name in _SUGGESTIONS else {}
    return {"kind": "text", **suggestions}


def _number(name: str, schema: Schema) -> Shape:
    return {"kind": "number"}


def _boolean(name: str, schema: Schema) -> Shape:
    return {"kind": "fixed", "value": schema["enum"][0]} if "enum" in schema else {"kind": "boolean"}


_SHAPES = {
    "object": _object,
    "array": _array,
    "string": _string,
    "integer": _number,
    "boolean": _boolean,
}
