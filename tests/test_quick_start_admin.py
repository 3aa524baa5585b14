"""The admin of temporary programs: read-only records, and two actions."""

import json
import re
from typing import Any

import pytest
import requests

from tests.admin_client import (
    PROGRAMS,
    AdminClient,
    Form,
    create_users,
    errors_of,
    live_of,
    messages_of,
    text_of,
)
from tests.processes import shell
from tests.stack import OWN_USER, Stack, eventually
from tests.temporary_programs import EXPIRED, Quick, log_folders, records, tree
from tests.test_admin import actions_of, counted_calls

LIST = "quick_start/ephemeralprogram/"
FORM = "ephemeralprogram_form"


def pk(stack: Stack, id: str) -> int:
    return int(records(stack)[id]["id"])


def row(admin: AdminClient, id: str) -> str:
    """The row of a temporary program in the list, as text."""
    rows = re.findall(r'<tr data-key="\d+">(.*?)</tr>', admin.page(LIST, q=id), re.S)
    return next(text_of(each) for each in rows if "/change/" in each)


def page(admin: AdminClient, stack: Stack, id: str) -> str:
    return admin.page(f"{LIST}{pk(stack, id)}/change/")


def act(admin: AdminClient, stack: Stack, action: str, *ids: str) -> requests.Response:
    chosen = [pk(stack, id) for id in ids]
    return admin.post(LIST, {"action": action, "_selected_action": chosen}, follow=True)


def buttons(html: str) -> list[str]:
    return re.findall(r'<button class="button" name="action" value="(\w+)"', html)


# Looking


def test_list_shows_state_remaining_time_and_result(quick: Quick, boss: AdminClient) -> None:
    live = quick.run(ttl=3600)
    endless = quick.run()
    quick.until(live, "running")
    quick.until(endless, "running")
    assert re.search(r"running 0:00:\d\d ?59:\d\d", row(boss, live))
    assert re.search(r"running 0:00:\d\d ?-", row(boss, endless))
    for fields, expected in (
        ({"command": "true"}, "exited with code 0 after"),
        ({"command": shell("exit 3"), "autorestart": False}, "exited with code 3 after"),
        ({"command": "no-such-command"}, "command not found: no-such-command"),
        ({"command": shell("kill -9 $$"), "autorestart": False}, "ended by SIGKILL after"),
        ({"command": "sleep 1000", "ttl": 1}, EXPIRED),
    ):
        assert expected in row(boss, quick.launch(**fields, wait="exit")["temporary_id"])
    unborn = quick.run("true", delay_seconds=100)
    quick.stop(unborn)
    assert "stopped before it ran" in row(boss, unborn)


@pytest.mark.parametrize(
    ("life", "shown"), [("live", {"live"}), ("ended", {"ended"}), ("", {"live", "ended"})]
)
def test_list_can_be_filtered_and_searched(
    quick: Quick, boss: AdminClient, life: str, shown: set[str]
) -> None:
    ids = {"live": quick.run(), "ended": quick.launch("true", wait="exit")["temporary_id"]}
    html = boss.page(LIST, **({"life": life} if life else {}))
    digits = {name: id.removeprefix("quick_") for name, id in ids.items()}  # its name ends with them
    assert {name for name in ids if digits[name] in html} == shown
    assert digits["live"] not in boss.page(LIST, q=ids["ended"])


@pytest.mark.parametrize(
    "query", [{"q": "a\0b"}, {"p": "9" * 30}, {"id": "x"}, {"life": "7"}, {"o": "9.-9.x"}, {"all": ""}]
)
def test_list_survives_any_address(boss: AdminClient, query: dict[str, str]) -> None:
    assert boss.get(LIST, **query).status_code == 200


def test_page_of_a_live_one_shows_what_runs(quick: Quick, stack: Stack, boss: AdminClient) -> None:
    script = (
        "for i in $(seq 60); do echo line $i; done; echo '<script>alert(1)</script>' >&2; exec sleep 1000"
    )
    id = quick.run(shell(script), ttl=3600, environment={"A": "b"})
    quick.until(id, "running")
    eventually(lambda: "alert" in quick.logs(id, type="stderr"))
    html = page(boss, stack, id)
    shown = live_of(html)
    assert re.search(rf"running for 0:00:\d\d pid {quick.pid(id)} stops in 59:\d\d", shown)
    assert "line 11 line 12" in shown
    assert "line 10 " not in shown  # fifty lines
    assert "<script>alert(1)</script>" in shown
    assert "<script>alert" not in html
    assert "alert(1)" in text_of(html), "its command"
    assert buttons(html) == ["stop"]


def test_page_of_an_ended_one_shows_the_result_and_the_logs(
    quick: Quick, stack: Stack, boss: AdminClient
) -> None:
    id = quick.launch(shell("echo one; exit 3"), autorestart=False, wait="exit")["temporary_id"]
    html = page(boss, stack, id)
    ended = (
        r"exited exited with code 3 after \d+(\.\d)? m?s Run again Keep as a program Purge Last hour Last day"
    )
    assert re.search(f"{ended} stdout .* one stderr", live_of(html))
    assert buttons(html) == ["purge"]


def test_page_shows_how_to_attach_to_a_tmux_session(quick: Quick, stack: Stack, boss: AdminClient) -> None:
    id = quick.launch("sleep 1000", terminal_id=4300, terminal_shell="tmux", wait=True)["temporary_id"]
    assert re.search(r"Terminal: tmux -S \S+ attach -t \S+", live_of(page(boss, stack, id)))


def test_records_can_not_be_changed_or_deleted(quick: Quick, stack: Stack, boss: AdminClient) -> None:
    id = quick.run()
    html = page(boss, stack, id)
    assert 'value="Save"' not in html
    assert "deletelink" not in html
    for path, data in (
        (f"{LIST}{pk(stack, id)}/change/", {"command": "true"}),
        (f"{LIST}{pk(stack, id)}/delete/", {"post": "yes"}),
    ):
        assert boss.post(path, data).status_code == 403, path
    act(boss, stack, "delete_selected", id)
    assert quick.record(id)["command"] == "sleep 1000"
    assert quick.status(id)["status"] in ("starting", "running")


def test_page_of_nothing_is_not_found_and_leads_back_to_the_list(boss: AdminClient) -> None:
    for id in ("999999999", "x", "9" * 30):
        for page in ("change", "live", "keep"):
            answer = boss.get(f"{LIST}{id}/{page}/")
            assert answer.status_code == 404
            assert "Not found" in text_of(answer.text)
        assert f'<a href="/admin/{LIST}">Back to all' in boss.get(f"{LIST}{id}/change/").text
    assert boss.get(f"{LIST}add/", again="999999999").status_code == 404


# The verbs


def test_stop_ends_the_chosen_ones(quick: Quick, stack: Stack, boss: AdminClient) -> None:
    one, two, kept = quick.run(name="one"), quick.run(name="two"), quick.run()
    quick.pid(one)
    assert messages_of(act(boss, stack, "stop", one, two)) == ["Stopped: two, one."]
    assert not tree(stack, one) + tree(stack, two)
    assert not {one, two} & set(quick.listed())
    assert kept in quick.listed()
    assert messages_of(act(boss, stack, "stop", one)) == ["Stopped: one."], "a second time it is a success"
    history = text_of(boss.page(f"{LIST}{pk(stack, one)}/history/"))
    assert "Stopped." in history


def test_purge_removes_ended_ones_with_their_logs(quick: Quick, stack: Stack, boss: AdminClient) -> None:
    live = quick.run(name="alive")
    ended = quick.launch("echo one", wait="exit")
    said = messages_of(act(boss, stack, "purge", live, ended["temporary_id"]))
    assert set(said) == {
        f"Purged: {ended['name']}.",
        f"“alive”: Ephemeral program {live} has not ended: stop it first",
    }
    assert ended["temporary_id"] not in records(stack)
    assert ended["name"] not in log_folders(stack)
    assert quick.api.get(f"quick-start/{ended['temporary_id']}/status").status_code == 404
    assert live in quick.listed()


@pytest.mark.parametrize(
    ("person", "actions"),
    [("viewer", set()), ("operator", {"stop", "purge"}), ("boss", {"stop", "purge"}), ("starter", None)],
)
def test_verbs_require_permissions(
    quick: Quick, staffed: Stack, person: str, actions: set[str] | None
) -> None:
    live, ended = quick.run(), quick.launch("true", wait="exit")["temporary_id"]
    admin = AdminClient(staffed, person)
    if actions is None:
        for path in (LIST, f"{LIST}{pk(staffed, live)}/change/"):
            assert admin.get(path).status_code == 403
        assert admin.post(LIST, {"action": "stop", "_selected_action": pk(staffed, live)}).status_code == 403
        return
    assert actions_of(admin.page(LIST)) == actions
    assert set(buttons(page(admin, staffed, live)) + buttons(page(admin, staffed, ended))) == actions
    may_launch = "stop" in actions  # of these people, those who may stop may launch, and add programs
    for verb in ("Run again", "Keep as a program"):
        assert (verb in page(admin, staffed, ended)) is may_launch
        assert verb not in page(admin, staffed, live), "it runs"
    assert ("Run something" in admin.page(LIST)) is may_launch
    act(admin, staffed, "stop", live)
    act(admin, staffed, "purge", ended)
    assert (live in quick.listed()) is ("stop" not in actions)
    assert (ended in records(staffed)) is ("purge" not in actions)


# Without supervisord


def test_list_makes_one_call_and_says_so_without_supervisord(own_stack: Stack) -> None:
    quick = Quick(own_stack.start())
    create_users(own_stack)
    admin = AdminClient(own_stack)
    ids = [quick.run(ttl=3600) for _ in range(5)]
    ended = quick.launch("true", wait="exit")["temporary_id"]
    for id in ids:
        quick.until(id, "running")
    with counted_calls(own_stack) as calls:
        counts = []
        for _ in range(3):  # the scheduler may look at the same time, but not each time
            before = len(calls)
            assert admin.page(LIST).count("state-running") == 5
            counts.append(len(calls) - before)
    assert min(counts) == 1

    with own_stack.without_supervisord():
        away = "supervisord can't be reached; nothing was changed"
        listed = admin.get(LIST)
        assert listed.status_code == 200
        assert f"The states of the programs are unknown: {away}" in text_of(listed.text)
        assert (listed.text.count("state-unknown"), listed.text.count("state-exited")) == (5, 1)
        assert away in live_of(page(admin, own_stack, ids[0]))
        said = messages_of(act(admin, own_stack, "stop", ids[0]))
        assert said[0] == f"“{quick.record(ids[0])['name']}”: {away}"
        assert quick.record(ids[0])["ended_at"] is None
        act(admin, own_stack, "purge", ended)
    assert ended not in records(own_stack)


# Launching


def launch(admin: AdminClient, **fields: str) -> requests.Response:
    """Fill in the form and press Run."""
    filled = {**admin.form(f"{LIST}add/", FORM), "user": OWN_USER, **fields}
    return admin.post(f"{LIST}add/", filled, follow=True)


def test_form_launches_as_the_api_does(quick: Quick, stack: Stack, boss: AdminClient) -> None:
    answer = launch(
        boss, command=shell("echo $WORD"), environment='{"WORD": "a\\nb"}', ttl="60", autorestart="false"
    )
    [said] = messages_of(answer)
    name = said.removeprefix("Launched: ").removesuffix(".")
    id = next(id for id, record in records(stack).items() if record["name"] == name)
    quick.ids.append(id)
    quick.until(id, "exited")
    record = quick.record(id)
    assert (record["ttl"], record["autorestart"], record["user"]) == (60, "false", OWN_USER)
    assert quick.logs(id) == "a b"
    assert answer.url.endswith(f"{LIST}{record['id']}/change/")
    assert {
        event["user"]
        for event in quick.api.get("events", limit=50).json()["events"]
        if event.get("temporary_id") == id and event["by"] == "admin"
    } == {"boss"}


@pytest.mark.parametrize(
    "fields",
    [
        {"command": ""},
        {"command": "a\nb"},
        {"command": "echo '"},
        {"user": ""},
        {"user": "no-such-user"},
        {"ttl": 0},
        {"ttl": 86401},
        {"directory": "relative"},
        {"directory": "/no/such/folder"},
        {"name": "a'b"},
        {"name": "x" * 129},
        {"environment": {"1": "x"}},
        {"delay_seconds": -1},
        {"umask": "999"},
        {"restart_delay_seconds": 100, "restart_delay_max_seconds": 1},
    ],
)
def test_form_refuses_what_the_api_refuses_with_its_sentence(
    quick: Quick, stack: Stack, boss: AdminClient, fields: dict[str, Any]
) -> None:
    before = set(records(stack))
    sentence = quick.api.refused("quick-start", {"command": "true", "user": OWN_USER, **fields})
    typed = {
        key: json.dumps(value) if isinstance(value, dict) else str(value) for key, value in fields.items()
    }
    assert sentence in errors_of(launch(boss, **{"command": "true", **typed}))
    assert set(records(stack)) == before


def test_fields_that_are_emptied_have_their_defaults(quick: Quick, stack: Stack, boss: AdminClient) -> None:
    empty = dict.fromkeys(("umask", "restart_delay_seconds", "exit_codes", "environment", "limits"), "")
    answer = launch(boss, command="true", name="emptied", **empty)
    assert messages_of(answer) == ["Launched: emptied."]


def test_address_fills_in_nothing_but_a_record(quick: Quick, boss: AdminClient) -> None:
    form = Form(boss.page(f"{LIST}add/", command="rm -rf /", before_start="x"), FORM).fields
    assert (form["command"], form["before_start"]) == ("", "[]")


def test_run_again_repeats_everything_but_a_generated_name(
    quick: Quick, stack: Stack, boss: AdminClient
) -> None:
    fields = {"environment": {"SECRET": "a\nb"}, "ttl": 77, "nice": 3, "exit_codes": [0, 4], "directory": "/"}
    one = quick.launch("true", wait="exit", **fields)["temporary_id"]
    two = quick.launch("true", wait="exit", name="named by hand")["temporary_id"]
    form = boss.form(f"{LIST}add/?again={pk(stack, one)}", FORM)
    shown = {name: form[name] for name in ("command", "name", "ttl", "nice", "directory")}
    assert shown == {"command": "true", "name": "", "ttl": "77", "nice": "3", "directory": "/"}
    assert json.loads(form["environment"]) == fields["environment"]
    assert json.loads(form["exit_codes"]) == [0, 4]
    assert boss.form(f"{LIST}add/?again={pk(stack, two)}", FORM)["name"] == "named by hand"


def test_keep_fills_in_the_form_of_a_program(quick: Quick, stack: Stack, boss: AdminClient) -> None:
    fields = {"environment": {"SECRET": "hidden"}, "nice": 3, "directory": "/"}
    id = quick.launch("true", wait="exit", **fields)["temporary_id"]
    answer = boss.get(f"{LIST}{pk(stack, id)}/keep/")
    assert "hidden" not in answer.url
    form = Form(answer.text, "program_form").fields
    shown = {name: form[name] for name in ("command", "name", "user", "nice", "directory")}
    assert shown == {"command": "true", "name": "true", "user": OWN_USER, "nice": "3", "directory": "/"}
    assert json.loads(form["environment"]) == {"SECRET": "hidden"}
    assert f'action="/admin/{PROGRAMS}add/"' in answer.text
    assert boss.post(f"{LIST}{pk(stack, id)}/keep/", {}).status_code == 405


def test_viewer_may_neither_launch_nor_operate_nor_keep(quick: Quick, staffed: Stack) -> None:
    id = quick.run()
    viewer = AdminClient(staffed, "viewer")
    place = f"{LIST}{pk(staffed, id)}/"
    assert viewer.get(f"{place}live/").status_code == 200
    assert viewer.get(f"{LIST}rows/").status_code == 200
    assert viewer.get(f"{LIST}add/").status_code == 403
    assert viewer.post(f"{LIST}add/", {"command": "true", "user": OWN_USER}).status_code == 403
    assert viewer.get(f"{place}keep/").status_code == 403
    for verb in ("stop", "purge"):
        assert viewer.post(f"{place}operate/", {"action": verb}).status_code == 403
    assert viewer.get(f"{place}operate/").status_code == 405
    assert quick.status(id)["status"] in ("starting", "running")


def test_buttons_of_the_page_stop_and_purge(quick: Quick, stack: Stack, boss: AdminClient) -> None:
    id = quick.run(name="pressed")
    place = f"{LIST}{pk(stack, id)}/"
    stopped = boss.post(f"{place}operate/", {"action": "stop"}, follow=True)
    assert messages_of(stopped) == ["Stopped: pressed."]
    assert stopped.url.endswith(f"{place}change/")
    assert boss.post(f"{place}operate/", {"action": "explode"}).status_code == 404
    purged = boss.post(f"{place}operate/", {"action": "purge"}, follow=True)
    assert messages_of(purged) == ["Purged: pressed."]
    assert id not in records(stack)


def test_rows_keep_the_filters_of_the_list(quick: Quick, boss: AdminClient) -> None:
    live = quick.run(name="lively")
    quick.launch("true", wait="exit", name="over and out")
    rows = boss.page(f"{LIST}rows/", life="live")
    assert "lively" in rows
    assert "over and out" not in rows
    assert "<html" not in rows
    assert "_changelist_filters=life%3Dlive" in rows
    assert f'data-live="/admin/{LIST}rows/?life=live"' in boss.page(LIST, life="live")
    assert boss.post(f"{LIST}rows/", {}).status_code == 405
    quick.stop(live)
