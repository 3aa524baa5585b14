"""The list of programs without a browser: its order, its filters by state, its rows, and its verbs."""

import re
import time
from html import unescape
from typing import Any

from tests.admin_client import PROGRAMS, AdminClient, details_of, row_of, summary_of
from tests.processes import started
from tests.stack import Api, Stack, eventually

BATCH = f"{PROGRAMS}batch/"
JSON = {"Accept": "application/json"}


def ids_of(page: str) -> list[int]:
    return [int(id) for id in re.findall(r'<tr data-key="(\d+)"', page)]


def counts_of(page: str) -> dict[str, int]:
    block = re.search(r'<ul class="states".*?</ul>', page, re.S)
    assert block
    found = re.findall(r'data-key="(\w+)".*?class="count">(\d+)<', block[0], re.S)
    return {word: int(count) for word, count in found}


def send(admin: AdminClient, verb: str, *ids: int) -> list[dict[str, Any]]:
    """Send a part of an action, as the script does: the groups of the answer."""
    admin.session.headers.update(JSON)
    try:
        answer = admin.post(BATCH, {"verb": verb, "id": ids})
    finally:
        del admin.session.headers["Accept"]
    assert answer.status_code == 200, answer.text
    return answer.json()["groups"]  # type: ignore[no-any-return]


def test_problems_come_first_and_disabled_programs_last(api: Api, boss: AdminClient) -> None:
    fatal = api.add("sleep 1001", name="order b", start_retries=0, before_start=["false"])
    failed = api.add("sh -c 'exit 3'", name="order a", autorestart="false", start_seconds=0)
    done = api.add("true", name="order c", autorestart="false", start_seconds=0)
    running, disabled = api.add(name="order d"), api.add(name="Order 0", enabled=False)
    for id in (fatal, failed, done, running):
        api.ok(f"programs/{id}/start")
    api.until(fatal, "fatal")
    api.until(running, "running")
    page = boss.page(PROGRAMS, q="order")
    assert ids_of(page) == [fatal, failed, running, done, disabled]
    assert counts_of(page) == {"all": 5, "fatal": 1, "failed": 1, "running": 1, "exited": 1, "disabled": 1}
    assert "<title>(2) Programs | Daemon API</title>" in page
    assert "severity-bad" in html_row(page, failed)
    assert "severity-neutral" in html_row(page, done)
    columns = {"state": "1", "name": "2"}  # the first is that of the checkboxes
    assert ids_of(boss.page(PROGRAMS, q="order", o=f"-{columns['state']}"))[0] == disabled
    assert ids_of(boss.page(PROGRAMS, q="order", o=columns["name"]))[1:] == [failed, fatal, done, running]
    for column in ("3", "4", "5", "-6", "8"):
        assert len(ids_of(boss.page(PROGRAMS, q="order", o=column))) == 5
    for word, found in (
        ("failed", [failed]),
        ("problems", [fatal, failed]),
        ("disabled", [disabled]),
        ("starting", []),
        ("nonsense", [fatal, failed, running, done, disabled]),
    ):
        assert ids_of(boss.page(PROGRAMS, q="order", state=word)) == found, word
    filtered = boss.page(PROGRAMS, q="order", state="failed", enabled__exact="1")
    assert counts_of(filtered) == {"all": 4, "fatal": 1, "failed": 1, "running": 1, "exited": 1}


def html_row(page: str, id: int) -> str:
    row = re.search(rf'<tr data-key="{id}".*?</tr>', page, re.S)
    assert row
    return row[0]


def test_program_that_restarts_again_and_again_is_flapping(api: Api, boss: AdminClient) -> None:
    id = api.add(
        "sh -c 'sleep 0.1; exit 1'",
        name="flaps",
        autorestart="true",
        start_seconds=0,
        restart_delay_seconds=0,
    )
    api.ok(f"programs/{id}/start")
    flapping = r"restarted \d+ × in a minute"
    row = eventually(lambda: re.search(flapping, row := row_of(boss.page(PROGRAMS), id)) and row, 30)
    api.ok(f"programs/{id}/stop")
    assert int(re.findall(flapping.replace(r"\d+", r"(\d+)"), row)[0]) >= 3


def test_rows_are_those_of_the_list(api: Api, boss: AdminClient) -> None:
    one, two = api.add(name="part one", labels={"team": "web"}), api.add(name="part two")
    started(api, one)
    api.until(one, "running")
    rows = boss.page(f"{PROGRAMS}rows/", q="part", id=[one, 4711, "x"])
    assert ids_of(rows) == [one]
    assert "running" in row_of(rows, one)
    assert counts_of(rows) == {"all": 2, "running": 1, "stopped": 1}
    assert 'data-title="Programs | Daemon API"' in rows
    assert "?label=team%3Dweb" in html_row(rows, one)
    assert ids_of(boss.page(PROGRAMS, label="team=web")) == [one]
    # A row that has left what the list shows is still brought up to date: it stays until the next load.
    assert ids_of(boss.page(f"{PROGRAMS}rows/", state="stopped", id=[one, two])) == [one, two]
    assert boss.get(f"{PROGRAMS}rows/", p="900", q="part").status_code in (200, 400)
    assert boss.get(f"{PROGRAMS}rows/", nonsense="1").status_code == 400


def test_buttons_fit_the_state_and_the_person(api: Api, boss: AdminClient, staffed: Stack) -> None:
    stopped, running, disabled = (
        api.add(name="fit 1"),
        api.add(name="fit 2"),
        api.add(name="f 3", enabled=False),
    )
    started(api, running)
    api.until(running, "running")

    def verbs(page: str, id: int) -> list[str]:
        return re.findall(r'class="button".*?aria-label="(\w+) ', html_row(page, id))

    page = boss.page(PROGRAMS)
    assert verbs(page, stopped) == ["Start", "Log"]
    assert verbs(page, running) == ["Restart", "Stop", "Log"]
    assert verbs(page, disabled) == ["Enable", "Log"]
    page = AdminClient(staffed, "starter").page(PROGRAMS)
    assert (verbs(page, stopped), verbs(page, disabled)) == (["Start", "Log"], ["Log"])
    page = AdminClient(staffed, "viewer").page(PROGRAMS)
    assert verbs(page, running) == ["Log"]


def test_button_leads_back_to_the_list_as_it_was(api: Api, boss: AdminClient) -> None:
    id = api.add(name="back & forth")
    row = html_row(boss.page(PROGRAMS, q="back & forth"), id)
    address = unescape(re.findall(r'formaction="/admin/(.*?)"', row)[0])
    answer = boss.post(address, {"verb": "start"}, follow=True)
    assert summary_of(answer) == "1 started"
    assert answer.url.endswith("/program/?q=back+%26+forth")


def test_part_of_an_action_answers_with_its_results_in_groups(api: Api, boss: AdminClient) -> None:
    one, off, missing = (
        api.add(name="one"),
        api.add(name="off", enabled=False),
        api.add("/no/such", name="missing"),
    )
    assert send(boss, "start", one, off, missing, 4711) == [
        {"outcome": "done", "word": "started", "reason": "", "count": 1, "names": ["one"]},
        {"outcome": "skipped", "word": "skipped", "reason": "disabled", "count": 1, "names": ["off"]},
        {
            "outcome": "failed",
            "word": "failed",
            "reason": "can't be started: command not found: /no/such",
            "count": 1,
            "names": ["missing"],
        },
    ]
    assert send(boss, "start", one)[0]["word"] == "ran already"
    assert send(boss, "stop", one, off)[0]["word"] == "stopped"
    assert send(boss, "stop", one)[0] == {
        "outcome": "skipped", "word": "skipped", "reason": "not running", "count": 1, "names": ["one"]
    }  # fmt: skip
    assert send(boss, "enable", one)[0]["word"] == "enabled already"
    assert send(boss, "disable", off)[0]["word"] == "disabled already"
    assert boss.get(BATCH).status_code == 405
    assert boss.post(BATCH, {"verb": "delete", "id": one}).status_code == 400


def test_only_what_has_changed_something_is_logged(api: Api, boss: AdminClient) -> None:
    id, off = api.add(name="logged"), api.add(enabled=False)
    for _ in range(2):
        send(boss, "start", id, off)
    assert boss.page(f"{PROGRAMS}{id}/history/").count("Started.") == 1
    assert "Started." not in boss.page(f"{PROGRAMS}{off}/history/")
    events = api.get(f"programs/{id}/events").json()["events"]
    assert {(event["by"], event["user"]) for event in events if event["state"] == "starting"} == {
        ("admin", "boss")
    }


def test_stops_wait_for_their_grace_periods_at_the_same_time(api: Api, boss: AdminClient) -> None:
    stubborn = "sh -c 'trap \"\" TERM; while :; do sleep 0.1; done'"
    ids = [api.add(stubborn, name=f"stubborn {number}", stop_grace_seconds=2) for number in range(12)]
    for id in ids:
        started(api, id)
    began = time.monotonic()
    assert summary_of(boss.act("stop", *ids)) == "12 stopped"
    assert time.monotonic() - began < 12  # one after the other would take 24 seconds, eight at a time 4


def test_select_all_means_all_pages(api: Api, boss: AdminClient) -> None:
    ids = [api.add(name=f"across {number}") for number in range(4)]
    asked = boss.get(f"{PROGRAMS}ids/", q="across").json()
    assert sorted(asked["ids"]) == ids
    answer = boss.post(
        f"{PROGRAMS}?q=across",
        {"action": "start", "select_across": "1", "_selected_action": ids[0], "index": "0"},
        follow=True,
    )
    assert summary_of(answer) == "4 started"
    (line,) = details_of(answer)
    assert line == "4 started – across 0, across 1, across 2, across 3"
