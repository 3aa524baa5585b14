"""The admin of temporary programs: read-only records, and two actions."""

import re

import pytest
import requests

from tests.admin_client import AdminClient, create_users, live_of, messages_of, text_of
from tests.processes import shell
from tests.stack import Stack, eventually
from tests.temporary_programs import EXPIRED, Quick, log_folders, records, tree
from tests.test_admin import actions_of, counted_calls

LIST = "quick_start/ephemeralprogram/"


@pytest.fixture(scope="module")
def staffed(stack: Stack) -> Stack:
    create_users(stack)
    return stack


@pytest.fixture(scope="module")
def boss(staffed: Stack) -> AdminClient:
    return AdminClient(staffed)


def pk(stack: Stack, id: str) -> int:
    return int(records(stack)[id]["id"])


def row(admin: AdminClient, id: str) -> str:
    """The row of a temporary program in the list, as text."""
    rows = re.findall(r"<tr>(.*?)</tr>", admin.page(LIST, q=id), re.S)
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
    assert re.search(r"running 0:00:\d\d ?0:59:\d\d", row(boss, live))
    assert re.search(r"running 0:00:\d\d ?-", row(boss, endless))
    for fields, expected in (
        ({"command": "true"}, "exited"),
        ({"command": shell("exit 3"), "autorestart": False}, "it ended with exit code 3"),
        ({"command": "no-such-command"}, "command not found: no-such-command"),
        ({"command": shell("kill -9 $$"), "autorestart": False}, "it was ended by SIGKILL"),
        ({"command": "sleep 1000", "ttl": 1}, EXPIRED),
    ):
        assert expected in row(boss, quick.launch(**fields, wait="exit")["temporary_id"])
    unborn = quick.run("true", delay_seconds=100)
    quick.stop(unborn)
    assert "it was stopped before it ran" in row(boss, unborn)


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
    assert re.search(rf"running for 0:00:\d\d pid {quick.pid(id)} Stops in 0:59:\d\d", shown)
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
    assert re.search("exited Result: it ended with exit code 3 Purge stdout .* one stderr", live_of(html))
    assert buttons(html) == ["purge"]


def test_page_shows_how_to_attach_to_a_tmux_session(quick: Quick, stack: Stack, boss: AdminClient) -> None:
    id = quick.launch("sleep 1000", terminal_id=4300, terminal_shell="tmux", wait=True)["temporary_id"]
    assert re.search(r"Terminal: tmux -S \S+ attach -t \S+", live_of(page(boss, stack, id)))


def test_records_can_not_be_added_changed_or_deleted(quick: Quick, stack: Stack, boss: AdminClient) -> None:
    id = quick.run()
    html = page(boss, stack, id)
    assert 'value="Save"' not in html
    assert "deletelink" not in html
    assert boss.get(f"{LIST}add/").status_code == 403
    for path, data in (
        (f"{LIST}add/", {"command": "true", "user": "root", "name": "x"}),
        (f"{LIST}{pk(stack, id)}/change/", {"command": "true"}),
        (f"{LIST}{pk(stack, id)}/delete/", {"post": "yes"}),
    ):
        assert boss.post(path, data).status_code == 403, path
    act(boss, stack, "delete_selected", id)
    assert quick.record(id)["command"] == "sleep 1000"
    assert quick.status(id)["status"] in ("starting", "running")


def test_page_of_nothing_leads_back_to_the_list(boss: AdminClient) -> None:
    for id in ("999999999", "x", "9" * 30):
        assert boss.get(f"{LIST}{id}/change/").status_code == 200


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
        assert messages_of(listed) == [f"The states of the programs are unknown: {away}"]
        assert (listed.text.count("state-unknown"), listed.text.count("state-exited")) == (5, 1)
        assert away in live_of(page(admin, own_stack, ids[0]))
        said = messages_of(act(admin, own_stack, "stop", ids[0]))
        assert said[0] == f"“{quick.record(ids[0])['name']}”: {away}"
        assert quick.record(ids[0])["ended_at"] is None
        act(admin, own_stack, "purge", ended)
    assert ended not in records(own_stack)
