"""Clients of drills, which check each response against the OpenAPI document."""

import copy
import threading
from collections import Counter
from functools import cache
from typing import Any

import requests
import schemathesis
from drf_spectacular.generators import SchemaGenerator

from tests.stack import Stack


def strict_document() -> dict[str, Any]:
    """Return a copy of the document that stacks serve, without additional properties in responses."""
    return copy.deepcopy(_document())


@cache
def _document() -> dict[str, Any]:
    document: dict[str, Any] = SchemaGenerator().get_schema(public=True)
    for component in document["components"]["schemas"].values():
        if component.get("type") == "object":
            component.setdefault("additionalProperties", False)
    return document


@cache
def _operations() -> dict[str, Any]:
    document = strict_document()
    schema = schemathesis.openapi.from_dict(document)
    ids = [each["operationId"] for methods in document["paths"].values() for each in methods.values()]
    return {id: schema.find_operation_by_id(id) for id in ids}


def check_documented(operation_id: str, response: requests.Response) -> None:
    """Check that the operation documents the response's status and body."""
    operation = _operations()[operation_id]
    codes = operation.definition.raw["responses"]
    assert str(response.status_code) in codes, f"{operation_id}: {response.status_code} {response.text}"
    operation.validate_response(response)


class Client:
    """A client with a connection of its own, for one thread. ``tally`` counts its responses.

    ``patience`` limits the wait, in seconds: a server that dies may leave a connection open.
    """

    def __init__(self, stack: Stack, tally: "Tally", *, patience: float = 60) -> None:
        self.api = stack.api
        self.tally = tally
        self.patience = patience
        _operations()  # made here, before there are threads

    def get(self, operation_id: str, route: str, **query: Any) -> requests.Response:
        return self._sent(operation_id, "GET", route, params=query)

    def post(self, operation_id: str, route: str, body: Any = None) -> requests.Response:
        return self._sent(operation_id, "POST", route, json=body or {})

    def _sent(self, operation_id: str, method: str, route: str, **options: Any) -> requests.Response:
        url = f"{self.api.base}/{route}"
        try:
            response = self.api.session.request(method, url, timeout=self.patience, **options)
        except requests.RequestException as problem:
            self.tally.count(operation_id, type(problem).__name__)
            raise
        self.tally.count(operation_id, response.status_code)
        check_documented(operation_id, response)
        return response


class Tally:
    """The number of responses by outcome, of all clients of a drill."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, int | str]] = Counter()
        self._lock = threading.Lock()

    def count(self, operation_id: str, outcome: int | str) -> None:
        with self._lock:
            self.counts[operation_id, outcome] += 1

    def __str__(self) -> str:
        outcomes: Counter[int | str] = Counter()
        for (_, outcome), times in self.counts.items():
            outcomes[outcome] += times
        return ", ".join(f"{times} times {outcome}" for outcome, times in outcomes.most_common())
