"""Requests that follow from each other: schemathesis as a state machine, against a real stack.

An answer's ids are what the next requests are about, as the links say that are added to the document here:
from what adds or launches to everything that names an id.
Requests fit the document, and are made harmless as in ``test_fuzz``. No answer may be one that the document
doesn't know, and none a 5xx.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests import safe_values
from tests.drills import ROUNDS
from tests.drills.clients import strict_document
from tests.stack import temporary_stack
from tests.test_fuzz import World, consistent

EXAMPLES = 8 if ROUNDS < 2 else 50
# With the links that schemathesis infers, nearly all sequences would begin with programs that were there.
CONFIG = {
    "generation": {"mode": "positive"},
    "phases": {"stateful": {"inference": {"algorithms": []}}},
}
# Where an id comes from, and what names it: the operations with `{id}` below the address.
SOURCES = [
    ("addProgram", "$response.body#/id", re.compile(r"/(programs|status)/(\w+/)?\{id\}")),
    ("quickStart", "$response.body#/temporary_id", re.compile(r"/quick-start/\{id\}")),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("logs")
    with temporary_stack(DAEMON_LOG_ROOTS=str(folder)) as stack:
        yield World(stack.start(), folder)
        assert stack.stop() == 0, stack.output.read_text()[-2000:]


def linked_document() -> dict[str, Any]:
    """The document with links from what makes an id to what is done with it."""
    document = strict_document()
    operations = [
        (path, operation) for path, methods in document["paths"].items() for operation in methods.values()
    ]
    for source, expression, address in SOURCES:
        (made,) = [operation for _, operation in operations if operation["operationId"] == source]
        made["responses"]["200"]["links"] = {
            operation["operationId"]: {
                "operationId": operation["operationId"],
                "parameters": {"id": expression},
            }
            for path, operation in operations
            if address.search(path) and "delivery_id" not in path
        }
    return document


def test_requests_that_follow_from_each_other_are_answered_as_documented(world: World) -> None:
    schema = schemathesis.openapi.from_dict(linked_document(), config=schemathesis.Config.from_dict(CONFIG))

    class Sequence(schema.as_state_machine()):  # type: ignore[misc]
        def before_call(self, case: schemathesis.Case) -> None:
            if isinstance(case.body, dict):
                case.body = safe_values.body(consistent(case.body, world), world.folder)

        def call(self, case: schemathesis.Case, **options: Any) -> schemathesis.Response:
            response = case.call(
                base_url=world.stack.url,
                session=world.session,
                headers={"Authorization": f"Bearer {world.stack.token}"},
                timeout=60,
            )
            world.answered[case.operation.definition.raw["operationId"]].add(response.status_code)
            return response

        def validate_response(
            self, response: schemathesis.Response, case: schemathesis.Case, **options: Any
        ) -> None:
            case.validate_response(
                response,
                checks=[
                    not_a_server_error,
                    status_code_conformance,
                    content_type_conformance,
                    response_headers_conformance,
                    response_schema_conformance,
                ],
            )

        def teardown(self) -> None:
            clear(world)

    Sequence.run(
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
    )
    # A start may be refused, since the program that an earlier request has made need not be enabled.
    followed = {operation for operation, codes in world.answered.items() if codes - {404}}
    print(dict(world.answered))
    assert {"addProgram", "getProgram", "startProgram", "quickStart", "getEphemeralStatus"} <= followed


def clear(world: World) -> None:
    """Away with what a sequence has made."""
    api = world.stack.api
    for program in api.get("programs").json()["programs"]:
        api.ok(f"programs/remove/{program['id']}")
    for launch in api.get("quick-start").json()["ephemeral_programs"]:
        api.ok(f"quick-start/{launch['temporary_id']}/stop")
