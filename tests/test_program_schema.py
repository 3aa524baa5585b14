"""``/api/programs.schema.json``: what editors and CI check files of programs with."""

import re
from typing import Any

import jsonschema
import pytest
import requests
import yaml

from daemon_programs.models.fields import WRITABLE_FIELDS
from hoody_site.api.program_schema import make_schema
from tests.program_sets import SET
from tests.stack import OWN_USER, PROJECT, Stack

ONE = {"name": "a", "command": "true", "user": "root"}


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    made = make_schema()
    jsonschema.Draft202012Validator.check_schema(made)
    return made


def problems(schema: dict[str, Any], content: Any) -> list[str]:
    return [problem.message for problem in jsonschema.Draft202012Validator(schema).iter_errors(content)]


def test_it_is_served_without_a_token(stack: Stack, schema: dict[str, Any]) -> None:
    answer = requests.get(f"{stack.url}/api/programs.schema.json", timeout=30)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/schema+json"
    assert answer.json() == schema
    assert requests.head(answer.url, timeout=30).status_code == 200
    refused = requests.post(answer.url, timeout=30)
    assert (refused.status_code, refused.json()["code"]) == (405, "method_not_allowed")


def test_it_describes_every_field(schema: dict[str, Any]) -> None:
    fields = schema["$defs"]["AppliedProgramRequest"]["properties"]
    assert set(fields) == {"id", *(field.name for field in WRITABLE_FIELDS)}
    for field in WRITABLE_FIELDS:
        assert fields[field.name]["description"] == field.description != ""
    shared = schema["$defs"]["PatchedProgramDefaultsRequest"]["properties"]
    assert set(shared) == set(fields) - {"id", "name", "set"}
    assert all("description" in each for each in schema["properties"].values())
    assert "nullable" not in str(schema)


def test_it_takes_every_field(schema: dict[str, Any]) -> None:
    assert problems(schema, {"programs": [{"user": OWN_USER, **each} for each in SET]}) == []


@pytest.mark.parametrize(
    "content",
    [
        {"programs": []},
        {"programs": [ONE], "set": "shop", "env_file": ".env", "$schema": "https://example.com"},
        {"programs": [{"name": "a", "command": "true"}], "defaults": {"user": "root", "priority": 3}},
        {"programs": [{**ONE, "numprocs": "${COUNT}", "directory": "${HOME}/x", "boot": "${BOOT:-true}"}]},
        {"programs": [{**ONE, "environment": {"A": "${B}"}, "port_range": {"start": "${P}", "end": 9}}]},
        {"programs": [{**ONE, "stop_signal": "${SIGNAL}", "labels": None, "autorestart": True}]},
    ],
)
def test_good_files(schema: dict[str, Any], content: Any) -> None:
    assert problems(schema, content) == []


@pytest.mark.parametrize(
    "content",
    [
        [],
        {},
        {"programs": {}},
        {"programs": [ONE], "prune": True},
        {"programs": [{"name": "a", "command": "true"}]},
        {"programs": [{"name": "a"}], "defaults": {"user": "root"}},
        {"programs": [{**ONE, "comand": "true"}]},
        {"programs": [{**ONE, "boot": "yes"}]},
        {"programs": [{**ONE, "umask": 18}]},
        {"programs": [{**ONE, "numprocs": 0}]},
        {"programs": [{**ONE, "environment": {"A": 1}}]},
        {"programs": [{**ONE, "status": {}}]},
        {"programs": [ONE], "defaults": {"name": "a"}},
        {"programs": [ONE], "set": "not a set"},
    ],
)
def test_bad_files(schema: dict[str, Any], content: Any) -> None:
    assert problems(schema, content) != []


def test_files_of_the_documentation_are_good(schema: dict[str, Any]) -> None:
    shown = re.findall(r"```yaml\n(.*?)```", (PROJECT / "docs/apply.md").read_text(), re.DOTALL)
    assert shown
    for text in shown:
        assert problems(schema, yaml.safe_load(text)) == []
