"""The start page: links as JSON, and a page for browsers that tells strangers where to begin."""

import re
import shlex
from typing import Any

import pytest
import requests
from django.test import Client

from tests.admin_client import text_of
from tests.stack import OWN_USER, Api, Stack

HTML = "text/html,application/xhtml+xml,*/*;q=0.8"


def page(stack: Stack, **headers: str) -> requests.Response:
    return requests.get(f"{stack.url}/", headers={"Accept": HTML, **headers}, timeout=60)


@pytest.mark.parametrize("accept", ["*/*", "application/json", "image/png"])
def test_links_are_json_for_all_but_browsers(stack: Stack, accept: str) -> None:
    links = requests.get(f"{stack.url}/", headers={"Accept": accept}, timeout=60).json()
    assert links["programs"] == f"{stack.url}/api/v1/daemon/programs"
    assert links["admin"] == f"{stack.url}/admin/"


def test_browsers_see_a_page(stack: Stack) -> None:
    answer = page(stack)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    assert '<html lang="en">' in answer.text
    assert "Healthy and ready" in answer.text
    assert all(f"{part} works" in answer.text for part in ("API", "supervisord", "listener", "queue"))
    for place in ("/admin/", "/api/docs/", "/api/v1/daemon/programs", "/metrics", "/api/schema/"):
        assert f'href="{place}"' in answer.text


def test_links_of_the_page_lead_somewhere(stack: Stack) -> None:
    for address in set(re.findall(r'(?:href|src)="(/[^"]+)"', page(stack).text)):
        answer = requests.get(f"{stack.url}{address}", timeout=60)
        assert answer.status_code in (200, 401, 403), address


def test_calls_of_the_page_work(stack: Stack, api: Api) -> None:
    before = {program["id"] for program in api.get("programs").json()["programs"]}
    calls = [text_of(call) for call in re.findall(r"<pre>(.*?)</pre>", page(stack).text, re.S)]
    assert len(calls) == 3
    for call in calls:
        words = shlex.split(call.replace("\\ ", ""))
        assert words[:2] == ["curl", "-sS"]
        assert words[4] == f"Authorization: Bearer $(cat {stack.folder}/api-token)"
        body = words[-1].replace("$(id -un)", OWN_USER)
        url = words[2]
        if body.startswith("{"):
            headers = {"Content-Type": "application/json"}
            answer = api.session.post(url, data=body, headers=headers, timeout=60)
        else:
            answer = api.session.get(url, timeout=60)
        assert answer.status_code == 200, answer.text
    after = {program["id"] for program in api.get("programs").json()["programs"]}
    assert len(after - before) == 1


def test_calls_of_the_page_name_the_host_that_was_asked(stack: Stack) -> None:
    text = page(stack, Host=f"localhost:{stack.port}").text
    assert f"curl -sS http://localhost:{stack.port}/api/v1/daemon/quick-start" in text


def test_page_tells_strangers_nothing_of_programs_users_and_the_admins_host(stack: Stack, api: Api) -> None:
    api.add(name="a-secret-name", boot=True)
    told = page(stack).text
    assert "a-secret-name" not in told
    assert stack.token not in told
    assert stack.admin_host.split(":")[0] not in told


def test_page_of_the_admins_host_does_not_explain_it(stack: Stack) -> None:
    assert "has a host name of its own" in page(stack).text
    assert "has a host name of its own" not in page(stack, Host=stack.admin_host).text


@pytest.mark.django_db
def test_page_without_supervisord_says_what_is_missing() -> None:
    answer = Client().get("/", headers={"Accept": HTML})
    assert answer.status_code == 200
    told = text_of(answer.content.decode())
    assert "Answers, but is not ready" in told
    assert "supervisord is missing" in told


@pytest.mark.parametrize(("opened", "sentence"), [(True, "For Prometheus."), (False, "with a token.")])
@pytest.mark.django_db
def test_page_says_whether_metrics_need_a_token(settings: Any, opened: bool, sentence: str) -> None:
    settings.METRICS_OPEN = opened
    assert sentence in text_of(Client().get("/", headers={"Accept": HTML}).content.decode())


def test_wrong_method_is_refused_as_everywhere(stack: Stack) -> None:
    assert requests.post(f"{stack.url}/", timeout=60).json()["code"] == "method_not_allowed"
    refused = requests.post(f"{stack.url}/", headers={"Accept": HTML}, timeout=60)
    assert refused.status_code == 405
    assert "method_not_allowed" in refused.text
