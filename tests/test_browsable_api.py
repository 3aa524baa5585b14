"""The browsable API: pages with links and forms, safe and quick for any response."""

import json
import re
import time
from html import unescape

import pytest
import requests
from django.urls import get_resolver

from daemon_programs.api.urls import urlpatterns as program_routes
from fleet.api.urls import urlpatterns as host_routes
from hoody_site.api.pages.json_html import MAX_MARKED_CHARACTERS, json_html
from hoody_site.api.pages.related import DESTRUCTIVE, FAMILIES, SECTIONS, STREAMS
from quick_start.api.urls import urlpatterns as launch_routes
from tests.admin_client import AdminClient, text_of
from tests.stack import Api, Stack

HTML = {"Accept": "text/html"}


def page(api: Api, route: str) -> requests.Response:
    return api.session.get(f"{api.base}/{route}", headers=HTML, timeout=60)


def forms(html: str) -> dict[str, str]:
    """Return the body of each form by the end of its address."""
    found = re.findall(r'data-request="/api/v1/daemon/([^"]+)".*?<textarea[^>]*>(.*?)</textarea>', html, re.S)
    return {address: unescape(body) for address, body in found}


def shown(html: str) -> str:
    """Return the response that a page shows, as text."""
    block = re.search(r'<pre class="json">(.*?)</pre>', html, re.S)
    assert block
    return unescape(re.sub(r"<[^>]+>", "", block[1]))


# What a page shows


def test_page_shows_the_response_of_the_api(api: Api) -> None:
    id = api.add(name="<b> & \\ 日本", environment={"A": "true", "B": '"id": 1', "C": "[1, null]"})
    html = page(api, f"programs/{id}").text
    assert json.loads(shown(html)) == api.get(f"programs/{id}").json()
    assert "<b>" not in html


def test_page_has_a_language_a_brand_and_no_foreign_ones(api: Api) -> None:
    html = page(api, "programs").text
    assert '<html lang="en">' in html
    assert "<title>List programs | Daemon API</title>" in html
    assert '<a class="brand" href="/">Daemon API</a>' in html
    assert "rest framework" not in html.lower()
    assert re.findall(r"(?:href|src)=.https?:", html) == []


def test_no_page_has_scripts_or_styles_written_into_it(api: Api) -> None:
    id = api.add()
    for route in ("programs", f"programs/{id}", f"programs/{id}/start", "quick-start", "health"):
        html = page(api, route).text
        assert "<style" not in html
        assert re.findall(r"<script(?![^>]* src=)", html) == []
        assert re.findall(r"\son\w+=", html) == []


# Links


def test_list_leads_to_each_program_and_the_program_to_its_pages(api: Api) -> None:
    id = api.add()
    assert f'<a href="/api/v1/daemon/programs/{id}">{id}</a>' in page(api, "programs").text
    assert f'<a href="/api/v1/daemon/status/{id}">{id}</a>' in page(api, "status").text
    html = page(api, f"programs/{id}").text
    for address in (f"status/{id}", f"programs/{id}/logs", f"programs/{id}/events"):
        assert f'<a href="/api/v1/daemon/{address}">' in html
        assert page(api, address).status_code == 200


def test_ids_of_other_things_lead_nowhere(api: Api) -> None:
    id = api.add(environment={"id": "99995"}, labels={"id": "99996"})
    html = page(api, "programs").text
    assert "/programs/99995" not in html
    assert "/programs/99996" not in html
    assert f'/programs/{id}"' in html


def test_every_route_has_a_place_on_the_pages() -> None:
    routes = {pattern.name for pattern in [*program_routes, *launch_routes, *host_routes]}
    placed = {name for family in FAMILIES for name in (*family.pages, *family.verbs)}
    of_the_host = {"host-route"}  # whose page is that of the route on the host
    assert routes == (placed | STREAMS | of_the_host | {"statuses", "machine", "logs", "events"})
    known = set(get_resolver().reverse_dict)
    assert set(SECTIONS) | placed | DESTRUCTIVE <= known


# Forms


def test_forms_are_filled_with_the_examples_of_the_documentation(api: Api) -> None:
    id = api.add()
    added = forms(page(api, "programs").text)
    assert json.loads(added["programs/add"])["command"]
    assert json.loads(added["programs/batch"])["select"] == {"labels": ["team=shop"]}
    assert json.loads(added["programs/reset"]) == {}
    verbs = forms(page(api, f"programs/{id}").text)
    assert json.loads(verbs[f"programs/{id}/signal"]) == {"signal": "USR1"}
    assert json.loads(forms(page(api, "quick-start").text)["quick-start"])["command"]


def test_buttons_say_what_they_do(api: Api) -> None:
    html = page(api, f"programs/{api.add()}").text
    buttons = [text_of(button) for button in re.findall(r"<button.*?</button>", html, re.S)]
    assert "Start a program" in buttons
    assert "POST" not in buttons
    assert 'data-confirm="Remove a program?"' in html


def test_page_of_a_verb_is_its_form(api: Api) -> None:
    id = api.add()
    answer = page(api, f"programs/{id}/start")
    assert answer.status_code == 405
    opened = re.findall(r'<details class="verb" open>\s*<summary>(.*?)</summary>', answer.text)
    assert opened == ["Start a program"]


def test_each_page_of_a_verb_has_the_heading_of_its_form(api: Api) -> None:
    id = api.add()
    verbs = {name: f"/programs/{id}/{name}" for name in ("stop", "restart", "signal", "reload", "enable")}
    verbs |= {name: f"/programs/{name}/{id}" for name in ("edit", "remove")}
    verbs |= {name: f"/programs/{name}" for name in ("add", "apply", "batch", "reset")}
    headings = set()
    for address in verbs.values():
        html = page(api, address.removeprefix("/")).text
        [heading] = re.findall(r"<h1>(.*?)</h1>", html)
        opened = re.findall(r'<details class="verb" open>\s*<summary>(.*?)</summary>', html)
        assert opened == [heading]
        assert f"<title>{heading} | Daemon API</title>" in html
        headings.add(heading)
    assert len(headings) == len(verbs)


def test_page_of_a_verb_says_that_it_takes_a_permission(staffed: Stack, api: Api) -> None:
    address = f"{staffed.url}/api/v1/daemon/programs/{api.add()}/start"
    html = AdminClient(staffed, "viewer").session.get(address, headers=HTML, timeout=60).text
    assert "<h1>Start a program</h1>" in html
    assert "you do not have the permission" in html
    assert forms(html) == {}


def test_forms_are_only_those_that_the_user_may_send(staffed: Stack, api: Api) -> None:
    id = api.add()
    permitted = {"viewer": set(), "starter": {"start", "stop", "restart"}, "changer": {"edit", "enable"}}
    for person, verbs in permitted.items():
        session = AdminClient(staffed, person).session
        html = session.get(f"{staffed.url}/api/v1/daemon/programs/{id}", headers=HTML, timeout=60).text
        found = {word for address in forms(html) for word in address.split("/")}
        assert verbs == found & {"start", "stop", "restart", "edit", "enable", "remove"}
        html = session.get(f"{staffed.url}/api/v1/daemon/programs", headers=HTML, timeout=60).text
        assert ("programs/batch" in forms(html)) is bool(verbs)


def test_missing_program_offers_nothing(api: Api) -> None:
    answer = page(api, "programs/999999")
    assert answer.status_code == 404
    assert forms(answer.text) == {}
    assert 'aria-label="Related"' not in answer.text


# Login


def test_stranger_is_led_to_the_login_and_back(stack: Stack) -> None:
    answer = requests.get(f"{stack.url}/api/v1/daemon/events?limit=5", headers=HTML, timeout=60)
    assert answer.status_code == 401
    assert "/admin/login/?next=%2Fapi%2Fv1%2Fdaemon%2Fevents%3Flimit%3D5" in answer.text
    assert forms(answer.text) == {}


# Size


def test_long_response_is_shown_without_markup() -> None:
    short = json.dumps({"programs": [{"id": 1, "name": "a"}]}, indent=4)
    assert '<span class="json-key">' in json_html(short)
    long = json.dumps({"programs": [{"id": n, "name": "<&>"} for n in range(3000)]}, indent=4)
    assert len(long) > MAX_MARKED_CHARACTERS
    html = json_html(long, lambda key, value: f"/{value}" if key == "id" else None)
    assert "<span" not in html
    assert html.count("<a href") == 3000
    assert unescape(re.sub("<[^>]+>", "", html)) == long


@pytest.mark.parametrize("text", ['"' * 300_000, '"a\\' * 100_000, " " * 500_000, '"id": ' * 90_000])
def test_no_response_takes_long_to_mark_up(text: str) -> None:
    began = time.process_time()
    json_html(json.dumps({"logs": text}, indent=4)[: 512 * 1024], lambda key, value: None)
    json_html(text[:MAX_MARKED_CHARACTERS], lambda key, value: None)
    assert time.process_time() - began < 2
