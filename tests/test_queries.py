"""Query parameters: none is ignored, on any route (docs/contract.md, section 1)."""

import re

import pytest
from django.urls import get_resolver

from tests.stack import OWN_USER, Api, Stack
from tests.temporary_programs import Quick
from tests.test_openapi import _routes

PREFIX = "api/v1/daemon/"
POSTED = re.compile(
    r"/(add|apply|batch|reset|enable|disable|start|stop|restart|signal|reload|input|redeliver|rotate-secret)$"
    r"|/(edit|remove)/|/(invite|check|cancel|pause|resume|rollback)$|fleet/quick-start$"
)
ROUTES = sorted(
    re.sub(r"<\w+:(\w+)>", r"{\1}", route)
    for route in _routes(get_resolver().url_patterns)
    if (route.startswith("api/v1/") or route == "metrics") and "<path:" not in route  # which the host refuses
)


@pytest.mark.parametrize("route", ROUTES)
def test_unknown_query_parameter_is_refused_and_named(api: Api, stack: Stack, route: str) -> None:
    id = api.add()
    before = api.get("programs", include_status="true").json()
    for method in ("POST",) if POSTED.search(route) else ("GET", "HEAD"):
        url = f"{stack.url}/{route.format(id=id, delivery_id=1, name='web-1', key='k')}"
        answer = api.session.request(method, url, params={"no such": "x"}, json={}, timeout=60)
        assert answer.status_code == 400
        if method != "HEAD":
            sentence = "Unknown query parameter 'no such'"
            told = answer.json()
            assert (told["error"], told["code"]) == (sentence, "invalid")
            assert told["errors"] == {"no such": [sentence]}
    assert api.get("programs", include_status="true").json() == before


@pytest.mark.parametrize(
    ("query", "key"),
    [
        ("programs?page=1", "page"),
        ("programs/{}/logs?grep=x", "grep"),
        ("events?until=2026-01-31T22:00:00Z", "until"),
        ("programs/{}?include_status=true", "include_status"),
        ("status?port=5", "port"),
        ("events/stream?Last-Event-ID=5", "Last-Event-ID"),
        ("programs/{}/logs/stream?Last-Event-ID=5", "Last-Event-ID"),
        ("health?x=1", "x"),
    ],
)
def test_filter_that_a_route_does_not_have_is_refused(api: Api, query: str, key: str) -> None:
    answer = api.get(query.format(api.add()))
    assert answer.status_code == 400
    assert answer.json()["error"] == f"Unknown query parameter '{key}'"


def test_logs_of_a_temporary_program_have_no_port(quick: Quick, api: Api) -> None:
    id = api.ok("quick-start", {"command": "sleep 50", "user": OWN_USER})["temporary_id"]
    for route in (f"quick-start/{id}/logs", f"quick-start/{id}/logs/stream"):
        assert api.get(route, port=5).json()["error"] == "Unknown query parameter 'port'"
    api.ok(f"quick-start/{id}/stop")


def test_parameter_that_is_given_twice_is_refused(api: Api) -> None:
    """One of the values would be ignored."""
    answer = api.get(f"programs/{api.add()}/logs?lines=5&lines=7")
    assert answer.status_code == 400
    assert answer.json()["error"] == "Query parameter 'lines' must be given only once"


def test_body_is_not_taken_from_the_query(api: Api) -> None:
    id = api.add()
    answer = api.post(f"programs/{id}/start?wait=true", {})
    assert answer.json()["error"] == "Unknown query parameter 'wait'"
    assert api.word(id) == "stopped"


@pytest.mark.parametrize("key", ["a\0b", "\ud800", "x" * 5000, ""])
def test_any_key_is_a_sentence(api: Api, key: str) -> None:
    answer = api.session.get(
        f"{api.base}/programs", params={key.encode("utf-8", "surrogatepass"): ""}, timeout=60
    )
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("Unknown query parameter '")
    assert len(answer.json()["error"]) < 200
