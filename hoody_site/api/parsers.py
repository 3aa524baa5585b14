"""Parse request bodies: JSON objects of at most 1 MiB (docs/contract.md, section 1)."""

import json
from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework import status
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import JSONParser

from hoody_site.api.sentences import fault


class BodyTooLarge(APIException):
    """Answer 413."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code, default_detail = fault(status.HTTP_413_REQUEST_ENTITY_TOO_LARGE)


class StrictJSONParser(JSONParser):
    """Accept one JSON object. NaN, Infinity and duplicate keys are refused."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the object, or ``{}`` for an empty body; raise ParseError or BodyTooLarge."""
        body = stream.read(settings.BODY_MAX_BYTES + 1)
        if len(body) > settings.BODY_MAX_BYTES:
            raise BodyTooLarge
        if not body.strip():
            return {}
        try:
            data = json.loads(body.decode(), parse_constant=_refuse_constant, object_pairs_hook=_object)
        except (ValueError, RecursionError) as problem:
            raise ParseError(f"The body is not valid JSON: {problem}") from problem
        if not isinstance(data, dict):
            raise ParseError("The body must be a JSON object")
        return data


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        raise ValueError("a key stands in it twice")
    return data
