"""The JSON that orjson writes is, byte for byte, that of Django REST framework."""

import datetime
import decimal
import uuid
from collections import OrderedDict
from typing import Any

import pytest
from django.utils.functional import lazystr
from rest_framework.exceptions import ErrorDetail
from rest_framework.renderers import JSONRenderer

from hoody_site.api.renderers import FastJSONRenderer

TEXTS = (
    "",
    "é ✓ 😀",
    '"quoted" \\ /',
    "\x00\x01\x1f\x7f\x80",
    "\b\f\n\r\t",
    "\u2028 and \u2029",
    "\u2028" * 3,
)
VALUES: list[Any] = [
    None,
    {},
    [],
    {"a": {"b": [1, -2, True, False, None]}},
    OrderedDict([("z", 1), ("a", 2)]),
    (1, 2),
    *TEXTS,
    {text: text for text in TEXTS},
    0.1,
    12.5,
    100.0,
    2**53,
    2**63 - 1,
    2**64,
    -(2**70),
    {1: "a key that is no text"},
    datetime.datetime(2026, 1, 31, 22, 0, 1, 123456, tzinfo=datetime.UTC),
    datetime.date(2026, 1, 31),
    datetime.timedelta(seconds=90),
    decimal.Decimal("1.50"),
    uuid.UUID(int=7),
    lazystr("late"),
    ErrorDetail("a sentence", code="invalid"),
    {"program": {"cpu_percent": 3.7, "exit_codes": [0], "labels": {"a": "ü"}}},
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
@pytest.mark.parametrize("media_type", [None, "application/json", "application/json; indent=4"])
def test_same_bytes(value: Any, media_type: str | None) -> None:
    assert FastJSONRenderer().render(value, media_type) == JSONRenderer().render(value, media_type)


@pytest.mark.parametrize("value", [object(), {"a": {1, 2, object()}}])
def test_what_no_json_has_is_refused_alike(value: Any) -> None:
    for renderer in (FastJSONRenderer(), JSONRenderer()):
        with pytest.raises(TypeError):
            renderer.render(value)


def test_lone_surrogate_is_refused_alike() -> None:
    for renderer in (FastJSONRenderer(), JSONRenderer()):
        with pytest.raises(UnicodeEncodeError):
            renderer.render({"a": "\ud800"})
