"""What is sent as a body: JSON objects of at most 1 MiB. Never a 5xx, and nothing is changed."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.stack import OWN_USER, Api, Stack

VERBS = (
    "edit/{}", "remove/{}", "{}/enable", "{}/disable", "{}/start", "{}/stop", "{}/restart", "{}/signal",
    "{}/reload", "{}/input",
)  # fmt: skip
ROUTES = ("programs/add", *(f"programs/{verb}" for verb in VERBS))
JSON = {"Content-Type": "application/json"}

MALFORMED = {
    "no JSON": (b"{name: 1}", "The body is not valid JSON"),
    "cut off": (b'{"name": "x"', "The body is not valid JSON"),
    "two values": (b"{} {}", "The body is not valid JSON"),
    "no UTF-8": (b'{"name": "\xff"}', "The body is not valid JSON"),
    "UTF-16": ('{"name": "x"}'.encode("utf-16"), "The body is not valid JSON"),
    "NaN": (b'{"priority": NaN}', "The body is not valid JSON: NaN is not JSON"),
    "infinity": (b'{"priority": -Infinity}', "The body is not valid JSON: -Infinity is not JSON"),
    "a key twice": (b'{"name": "a", "name": "b"}', "The body is not valid JSON: a key stands in it twice"),
    "a deep key twice": (b'{"environment": {"A": "", "A": ""}}', "The body is not valid JSON: a key stands"),
    "too deep": (b'{"a":' * 100_000, "The body is not valid JSON"),
    "a number too long": (b'{"priority": ' + b"9" * 10_000 + b"}", "The body is not valid JSON"),
    "a list": (b"[]", "The body must be a JSON object"),
    "a string": (b'"name"', "The body must be a JSON object"),
    "a number": (b"5", "The body must be a JSON object"),
    "null": (b"null", "The body must be a JSON object"),
}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(("body", "sentence"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_body_is_refused(api: Api, route: str, body: bytes, sentence: str) -> None:
    route = route.format(api.add())
    before = api.get("programs", include_status="true").text
    answer = api.post(route, data=body, headers=JSON)
    assert answer.status_code == 400, answer.text[:500]
    assert answer.json()["success"] is False
    assert answer.json()["error"].startswith(sentence)
    assert api.get("programs", include_status="true").text == before


@pytest.mark.parametrize("route", ROUTES)
def test_unknown_key_is_refused_and_named(api: Api, route: str) -> None:
    route = route.format(api.add())
    before = api.get("programs", include_status="true").text
    answer = api.post(route, {"comand": "x"})
    assert answer.status_code == 400
    assert answer.json()["error"] == "Unknown field 'comand'"
    assert answer.json()["errors"] == {"comand": ["Unknown field 'comand'"]}
    assert api.get("programs", include_status="true").text == before


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None],
)
def test_other_content_type_is_refused(api: Api, route: str, content_type: str | None) -> None:
    answer = api.post(route.format(api.add()), data=b"{}", headers={"Content-Type": content_type})
    assert answer.status_code == 415, answer.text
    assert answer.json()["success"] is False
    assert answer.json()["error"] == f'Unsupported media type "{content_type or ""}" in request.'


@pytest.mark.parametrize("route", ROUTES)
def test_body_over_one_mebibyte_is_refused(api: Api, route: str) -> None:
    route = route.format(api.add())
    before = api.get("programs", include_status="true").text
    for body in (b" " * 1024 * 1024 + b"{}", json.dumps({"description": "x" * 2**21}).encode()):
        answer = api.post(route, data=body, headers=JSON)
        assert answer.status_code == 413, answer.text
        assert answer.json()["success"] is False
        assert answer.json()["error"] == "The request body is larger than 1 MiB"
    assert api.get("programs", include_status="true").text == before


def test_body_of_one_mebibyte_is_taken(api: Api) -> None:
    body = json.dumps({"name": "full", "command": "true", "user": OWN_USER}).encode().ljust(1024 * 1024)
    assert api.post("programs/add", data=body, headers=JSON).status_code == 200


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_spellings_of_the_content_type_are_taken(api: Api, content_type: str) -> None:
    answer = api.post(f"programs/{api.add()}/start", data=b"{}", headers={"Content-Type": content_type})
    assert answer.status_code == 200


def test_body_in_chunks_is_read(api: Api) -> None:
    """Some clients don't say how long a body is; it must not be taken as none."""
    id = api.add()
    answer = api.post(f"programs/{id}/start", data=iter([b'{"port"', b": 5}"]), headers=JSON)
    assert answer.json()["error"] == f"Program with ID {id} has no port range"
    endless = (b"x" * 65536 for _ in range(64))
    assert api.post(f"programs/{id}/start", data=endless, headers=JSON).status_code == 413


@pytest.mark.parametrize("verb", ["start", "stop", "restart", "enable", "disable"])
@pytest.mark.parametrize("headers", [{}, JSON, {"Content-Type": "application/x-www-form-urlencoded"}])
def test_no_body_means_the_same_as_an_empty_object(api: Api, verb: str, headers: dict[str, str]) -> None:
    expected = api.post(f"programs/{api.add()}/{verb}", {}).json()
    answer = api.post(f"programs/{api.add()}/{verb}", data=b"", headers=headers)
    assert answer.status_code == 200
    assert answer.json().keys() == expected.keys()
    assert answer.json()["success"] is True


OPTIONS: list[tuple[dict[str, Any], str]] = [
    *[({"port": value}, "Field 'port' must be between 1 and 65535") for value in (0, -1, 65536, 10**20)],
    *[({"port": value}, "Field 'port' must be an integer") for value in ("8000", 8000.0, True, None, [1])],
    *[({"timeout": value}, "Field 'timeout' must be between 1 and 300") for value in (0, 301, -5)],
    *[({"timeout": value}, "Field 'timeout' must be an integer") for value in ("30", 1.5, False, None)],
    *[({field: value}, f"Field '{field}' must be true or false")
      for field in ("all", "wait", "if_not_running") for value in (0, 1, "true", None, {})],
]  # fmt: skip


@pytest.mark.parametrize(("body", "sentence"), OPTIONS, ids=[json.dumps(body) for body, _ in OPTIONS])
def test_options_of_verbs_are_strict(api: Api, body: dict[str, Any], sentence: str) -> None:
    fields_of = {
        "start": {"port", "all", "wait", "timeout", "if_not_running"},
        "restart": {"port", "all", "wait", "timeout"},
        "stop": {"port", "all"},
    }
    id = api.add()
    for verb, fields in fields_of.items():
        if body.keys() <= fields:
            assert api.refused(f"programs/{id}/{verb}", body) == sentence
        else:
            assert api.refused(f"programs/{id}/{verb}", body) == f"Unknown field '{next(iter(body))}'"
    assert api.word(id) == "stopped"


@pytest.mark.parametrize("verb", VERBS)
def test_unknown_program_is_reported_before_errors_of_the_body(api: Api, verb: str) -> None:
    assert api.refused(f"programs/{verb.format(999999)}", {"x": 1}, 404) == "Program with ID 999999 not found"


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
FIELDS = st.sampled_from([
    "id", "name", "description", "enabled", "boot", "delay_seconds", "autorestart", "user", "environment",
    "stop_grace_seconds", "directory", "priority", "stdout_logfile", "stderr_logfile", "logs_enabled",
    "log_max_bytes", "log_backups", "lazy_load", "display", "port_range", "port_param", "port", "all",
    "timeout", "wait", "stop_signal", "stop_scope", "reload", "signal", "scope", "rolling",
])  # fmt: skip


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(route=st.sampled_from(ROUTES), body=st.dictionaries(FIELDS | st.text(max_size=5), VALUES, max_size=4))
def test_no_body_brings_the_api_down(api: Api, route: str, body: dict[str, Any]) -> None:
    """Whatever is wrong is one sentence, and leaves everything as it was."""
    others = programs(api)
    id = api.add()
    before = programs(api)
    answer = api.post(route.format(id), body)
    content = answer.json()
    if answer.status_code == 200:  # an edit may set what may be set
        assert content["success"] is True
    else:
        assert answer.status_code == 400, answer.text
        assert content["success"] is False
        assert content["error"]
        assert programs(api) == before
    for each in programs(api).keys() - others.keys():
        api.ok(f"programs/remove/{each}")
    assert programs(api) == others


@pytest.mark.parametrize("route", ROUTES)
def test_refusal_reaches_a_client_that_is_still_sending(stack: Stack, route: str) -> None:
    """The server reads what it refuses: a reset connection would take the answer with it."""
    body = b"x" * 8 * 1024 * 1024
    for token, code in ((None, 401), (stack.token, 413)):
        answer = stack.client(token).post(route.format(1), data=body, headers=JSON)
        assert answer.status_code == code
        assert answer.json()["success"] is False


def programs(api: Api) -> dict[int, dict[str, Any]]:
    return {program["id"]: program for program in api.get("programs").json()["programs"]}
