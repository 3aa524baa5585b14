"""What the OpenAPI document says of an operation: its title, its description, and examples of its body."""

import re
from typing import Any, NamedTuple

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from drf_spectacular.utils import OpenApiExample
from rest_framework.renderers import JSONRenderer

_CODE = re.compile(r"`([^`]+)`")


class Example(NamedTuple):
    """A body that a request may have."""

    name: str
    body: str  # indented JSON


class Operation(NamedTuple):
    """One method of one route."""

    title: str
    description: SafeString
    examples: list[Example]


def operation_of(view: Any, method: str) -> Operation | None:
    """Return the operation that a view carries out for a method; None if it is not documented.

    The view must have its request: the examples of an operation may depend on it.
    """
    action = getattr(view, "action", None) or getattr(view, "action_map", {}).get(method)
    handler = getattr(view, action or method, None)
    schema_class = getattr(handler, "kwargs", {}).get("schema")
    if schema_class is None:
        return None
    schema = schema_class()
    schema.view, schema.method = view, method.upper()
    examples = [_example(example) for example in schema.get_examples() if example.request_only]
    return Operation(schema.get_summary() or "", _with_code(schema.get_description() or ""), examples)


def _example(example: OpenApiExample) -> Example:
    body = JSONRenderer().render(example.value, renderer_context={"indent": 2})
    return Example(example.name, body.decode())


def _with_code(description: str) -> SafeString:
    """Return a description as HTML; what stands between backticks is code."""
    return mark_safe(_CODE.sub(r"<code>\1</code>", escape(description)))  # noqa: S308
