"""``webhooks``: shape and rules of the block, how an edit merges it, where it may not point to."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from daemon_programs.validators.webhook_config import check
from tests import test_webhook_addresses as addresses
from tests.stack import OWN_USER, Api

URL = "https://example.com/hook"
EVENTS = ["STARTING", "RUNNING", "BACKOFF", "STOPPING", "STOPPED", "EXITED", "FATAL", "UNKNOWN"]
DEFAULTS = {"enabled": True, "urls": [URL], "events": EVENTS, "headers": {}, "timeout": 10, "retry": 3}
NO_EVENTS = "Field 'webhooks' events must be a name, a list of names, or '*'"
NO_HEADERS = "Field 'webhooks' headers must be an object that maps names to strings"

UNKNOWN_EVENT = "Field 'webhooks' has an unknown event '{}': it must be one of " + ", ".join(EVENTS)


REFUSED: list[tuple[Any, str]] = [
    ({"events": ["*", "x"]}, UNKNOWN_EVENT.format("x")),
    *[(value, "Field 'webhooks' must be an object") for value in ([], "*", 5, True, URL, [URL])],
    ({"url": URL}, "Field 'webhooks' has an unknown key 'url'"),
    ({"\ud800": URL}, "Field 'webhooks' has an unknown key '?'"),
    *[({"enabled": value}, "Field 'webhooks' enabled must be true or false")
      for value in (0, 1, "true", None)],
    *[({"timeout": value}, "Field 'webhooks' timeout must be an integer between 1 and 60")
      for value in (0, 61, 10**30, "10", 10.0, True, None)],
    *[({"retry": value}, "Field 'webhooks' retry must be an integer between 0 and 5")
      for value in (-1, 6, "3", 3.0, False, None)],
    *[({"events": value}, NO_EVENTS)
      for value in ([], None, 5, {}, {"RUNNING": True}, [5], ["RUNNING", None])],
    *[({"events": value}, UNKNOWN_EVENT.format("CRASHED")) for value in ("CRASHED", ["RUNNING", "CRASHED"])],
    ({"events": ""}, UNKNOWN_EVENT.format("")),
    *[({"headers": value}, NO_HEADERS) for value in (None, [], "X: 1", {"X": 1}, {"X": None}, {"X": ["1"]})],
    ({"headers": {f"X-{number}": "" for number in range(11)}},
     "Field 'webhooks' headers must have at most 10 entries"),
    ({"headers": {"X-A": "1", "x-a": "2"}}, "Field 'webhooks' headers has a name twice"),
    *[({"headers": {name: "x"}}, f"Field 'webhooks' headers has a name that is not allowed: '{name}'")
      for name in ("", "X Y", "X:", "X\r\nY", "Ü", "Host", "content-LENGTH", "Content-Type", "Connection",
                   "Transfer-Encoding", "webhook-id", "Webhook-Signature")],
    *[({"headers": {"X": value}}, "Field 'webhooks' headers has a value that is not allowed: that of 'X'")
      for value in ("a\r\nb", "a\nb", "\0", "ü", " a", "a ", "\ta", "x" * 4097, "\x7f", "\ud800")],
    *[({"urls": value}, "Field 'webhooks' urls must be a list of strings")
      for value in (None, URL, {}, [5], [None], [[URL]], [URL, 5])],
    *[({"urls": value}, "Field 'webhooks' urls must have 1 to 5 entries") for value in ([], [URL] * 6)],
]  # fmt: skip

KEPT: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    *[({"events": value}, {"events": EVENTS}) for value in ("*", "all", "ALL", ["*"], ["all", "RUNNING"])],
    ({"events": "exited"}, {"events": ["EXITED"]}),
    ({"events": ["Fatal", "running", "RUNNING"]}, {"events": ["RUNNING", "FATAL"]}),
    *[({"events": name}, {"events": [name]}) for name in EVENTS],
    ({"timeout": 1, "retry": 0}, {"timeout": 1, "retry": 0}),
    ({"timeout": 60, "retry": 5}, {"timeout": 60, "retry": 5}),
    ({"headers": {"Authorization": "Bearer x y", "X-Empty": ""}},) * 2,
    ({"headers": {f"X-{number}": "" for number in range(10)}},) * 2,
    ({"urls": [f"{URL}/{number}" for number in range(5)]},) * 2,
    *[({"urls": [url]},) * 2 for url in (
        "HTTPS://EXAMPLE.com:8443/a?b=c#d", "https://example.com.", "https://bücher.example/ü",
        "https://xn--bcher-kva.example", "https://my_hook.example.com", "https://8.8.8.8", "https://134744072",
        "https://[2606:4700::1111]:443/", "https://[::ffff:8.8.8.8]/", "https://[64:ff9b::808:808]/",
        "https://example.com#@127.0.0.1", "https://example.com?@127.0.0.1")],
    ({"enabled": False, "urls": []},) * 2,
    ({"enabled": False, "urls": ["http://localhost:3000", "not yet"]},) * 2,
]  # fmt: skip


def refusal(block: Any) -> str:
    with pytest.raises(ValidationError) as refused:
        check(block)
    assert len(refused.value.messages) == 1
    return refused.value.messages[0]


@pytest.mark.parametrize(("wrong", "sentence"), REFUSED, ids=map(ascii, (case[0] for case in REFUSED)))
def test_block_against_a_rule_is_refused(wrong: Any, sentence: str) -> None:
    assert refusal({"urls": [URL], **wrong} if isinstance(wrong, dict) else wrong) == sentence


@pytest.mark.parametrize(
    "wrong",
    [{"enabled": False, key: None} for key in ("urls", "events", "headers", "timeout", "retry")]
    + [{"enabled": False, "urls": [text]} for text in ("x" * 2049, "a\nb", "\ud800")]
    + [{"enabled": False, "urls": [URL] * 6}],
    ids=ascii,
)
def test_disabled_block_has_its_shape_checked_all_the_same(wrong: dict[str, Any]) -> None:
    assert refusal(wrong).startswith("Field 'webhooks' ")


@pytest.mark.parametrize(("sent", "kept"), KEPT, ids=map(ascii, (case[0] for case in KEPT)))
def test_valid_block_is_kept_in_its_one_form(api: Api, sent: dict[str, Any], kept: dict[str, Any]) -> None:
    id = api.add(webhooks={"urls": [URL], **sent})
    assert api.get(f"programs/{id}").json()["program"]["webhooks"] == {**DEFAULTS, **kept}


def test_refused_block_changes_nothing(api: Api) -> None:
    id = api.add(webhooks={"urls": [URL]})
    before = api.get("programs").text
    urls = [f"https://{host}" for host in addresses.ADDRESSES + addresses.NAMES] + addresses.NO_URLS
    wrong: list[Any] = [{"urls": [url]} for url in urls] + [each for each, _ in REFUSED]
    for each in wrong:
        body = {"name": "new", "command": "true", "user": OWN_USER, "webhooks": each}
        if isinstance(each, dict):
            body["webhooks"] = {"urls": [URL], **each}
        for route in ("programs/add", f"programs/edit/{id}"):
            answer = api.post(route, body)
            assert answer.status_code == 400, (each, answer.text)
            assert answer.json()["errors"] == {"webhooks": [answer.json()["error"]]}
    assert api.get("programs").text == before


@pytest.mark.parametrize("empty", [{}, {"enabled": True}, {"events": "*"}])
def test_enabled_block_without_urls_is_refused(api: Api, empty: dict[str, Any]) -> None:
    sentence = "Field 'webhooks' urls must have 1 to 5 entries"
    body = {"name": "new", "command": "true", "user": OWN_USER, "webhooks": empty}
    assert api.refused("programs/add", body) == sentence
    assert api.refused(f"programs/edit/{api.add()}", {"webhooks": empty}) == sentence


def test_edit_merges_the_block_by_key(api: Api) -> None:
    id = api.add(webhooks={"urls": [URL], "events": "FATAL", "headers": {"A": "1"}, "timeout": 5, "retry": 1})

    def edited(**changes: Any) -> dict[str, Any]:
        return api.ok(f"programs/edit/{id}", {"webhooks": changes})["program"]["webhooks"]

    kept = {**DEFAULTS, "events": ["FATAL"], "headers": {"A": "1"}, "timeout": 5, "retry": 1}
    assert edited() == kept
    assert edited(timeout=6) == {**kept, "timeout": 6}
    # urls, events and headers are replaced whole
    assert edited(urls=[f"{URL}/2"])["urls"] == [f"{URL}/2"]
    assert edited(events=["running"])["events"] == ["RUNNING"]
    assert edited(headers={"B": "2"})["headers"] == {"B": "2"}
    replaced = {"urls": [f"{URL}/2"], "events": ["RUNNING"], "headers": {"B": "2"}}
    assert edited(enabled=False) == {**replaced, "enabled": False, "timeout": 6, "retry": 1}


def test_edit_of_other_fields_leaves_the_block_alone(api: Api) -> None:
    id = api.add(webhooks={"urls": [URL], "retry": 0})
    before = api.get(f"programs/{id}").json()["program"]
    after = api.ok(f"programs/edit/{id}", {"description": "new"})["program"]
    assert after == {**before, "description": "new"}


def test_null_clears_the_block(api: Api) -> None:
    id = api.add(webhooks={"urls": [URL], "retry": 0})
    assert "webhooks" not in api.ok(f"programs/edit/{id}", {"webhooks": None})["program"]
    # and nothing of the old one is left for the next
    again = api.ok(f"programs/edit/{id}", {"webhooks": {"urls": [URL]}})["program"]
    assert again["webhooks"] == DEFAULTS


def test_disabled_block_keeps_what_is_checked_once_it_is_enabled(api: Api) -> None:
    id = api.add(webhooks={"enabled": False, "urls": ["https://127.0.0.1/"]})
    before = api.get(f"programs/{id}").json()["program"]
    assert before["webhooks"]["urls"] == ["https://127.0.0.1/"]
    assert (
        api.refused(f"programs/edit/{id}", {"webhooks": {"enabled": True}}) == f"{addresses.PRIVATE}127.0.0.1"
    )
    assert api.get(f"programs/{id}").json()["program"] == before
    mended = api.ok(f"programs/edit/{id}", {"webhooks": {"enabled": True, "urls": [URL]}})["program"]
    assert mended["webhooks"] == DEFAULTS


def test_change_of_the_block_leaves_what_runs_alone(api: Api) -> None:
    id = api.add()
    api.ok(f"programs/{id}/start", {"wait": True})
    pid = api.pid(id)
    api.ok(f"programs/edit/{id}", {"webhooks": {"urls": [URL]}})
    assert api.pid(id) == pid
