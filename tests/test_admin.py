"""The admin: the list of programs, its actions, permissions, and a supervisord that can't be reached."""

import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil
import pytest
import requests
from django.apps import apps
from django.contrib import admin
from django.urls import get_resolver

from tests.admin_client import (
    PROGRAMS,
    TOKENS,
    AdminClient,
    create_users,
    details_of,
    errors_of,
    live_html,
    messages_of,
    row_of,
    summary_of,
    text_of,
)
from tests.stack import OWN_USER, Api, Stack, eventually
from tests.temporary_programs import Quick

LAUNCHES = "quick_start/ephemeralprogram/"
TAKES_PORT = "sh -c 'exec sleep 1000'"  # and whatever is appended


@pytest.fixture(scope="module")
def viewer(staffed: Stack) -> AdminClient:
    return AdminClient(staffed, "viewer")


def actions_of(page: str) -> set[str]:
    select = re.search(r'<select name="action".*?</select>', page, re.S)
    return set(re.findall(r'value="(\w+)"', select[0])) if select else set()


# The list


def test_list_shows_the_live_state_of_each_program(api: Api, boss: AdminClient) -> None:
    running = api.add(name="runs", boot=True)
    failed = api.add("sh -c 'exit 3'", name="fails", autorestart="false")
    instances = api.add(TAKES_PORT, name="many", port_range={"start": 21000, "end": 21009})
    disabled = api.add(name="off", enabled=False)
    api.until(running, "running")
    api.post(f"programs/{failed}/start", {"wait": True})
    api.ok(f"programs/{instances}/start", {"port": 21004, "wait": True})
    page = boss.page(PROGRAMS)
    assert re.search(r"running 0:00:\d\d ?runs", row_of(page, running))
    assert re.search(r"exited exit code 3 ?fails", row_of(page, failed))
    assert "running 1 of 10" in row_of(page, instances)
    assert "21000–21009" in row_of(page, instances)
    assert "stopped disabled" in row_of(page, disabled)


def test_list_shows_that_all_instances_have_failed(api: Api, boss: AdminClient) -> None:
    id = api.add("false", port_range={"start": 21010, "end": 21011}, start_retries=0)
    api.ok(f"programs/{id}/start", {"port": 21010})
    eventually(lambda: api.status(id, port=21010)["instance"]["status"] == "fatal")
    assert "stopped 0 of 2, 1 fatal" in row_of(boss.page(PROGRAMS), id)
    api.ok(f"programs/{id}/start", {"port": 21011})
    eventually(lambda: api.status(id, port=21011)["instance"]["status"] == "fatal")
    assert "fatal 0 of 2, 2 fatal" in row_of(boss.page(PROGRAMS), id)
    listed = {each["id"]: each["status"]["status"] for each in api.get("status").json()["statuses"]}
    assert listed[id] == "fatal"


def test_list_makes_one_call_to_supervisord_however_many_programs(own_stack: Stack) -> None:
    own_stack.start()
    create_users(own_stack)
    for id in [own_stack.api.add(boot=True) for _ in range(5)]:
        own_stack.api.until(id, "running")
    admin = AdminClient(own_stack)
    with counted_calls(own_stack) as calls:
        counts = []
        for _ in range(3):  # the scheduler may look at the same time, but not each time
            before = len(calls)
            assert admin.page(PROGRAMS).count("running") >= 5
            counts.append(len(calls) - before)
    assert min(counts) == 1


def test_list_can_be_searched_and_filtered(api: Api, boss: AdminClient) -> None:
    needle = api.add("sleep 1001", name="needle", enabled=False)
    ranged = api.add(name="hay", description="in a stack", port_range={"start": 21100, "end": 21101})
    for query, found in (
        ({"q": "needle"}, {needle}),
        ({"q": "in a stack"}, {ranged}),
        ({"q": "sleep 1001"}, {needle}),
        ({"enabled__exact": "0", "q": "needle"}, {needle}),
        ({"enabled__exact": "1", "q": "needle"}, set()),
        ({"ports": "yes", "q": "hay"}, {ranged}),
        ({"ports": "no", "q": "needle"}, {needle}),
        ({"ports": "no", "q": "hay"}, set()),
    ):
        page = boss.page(PROGRAMS, **query)
        assert {int(id) for id in re.findall(r"/program/(\d+)/change/", page)} == found, query


@pytest.mark.parametrize(
    "query",
    [{"q": "a\0b"}, {"p": "9" * 30}, {"id": "x"}, {"enabled__exact": "7"}, {"o": "9.-9.x"}, {"all": ""}],
)
def test_list_survives_any_address(boss: AdminClient, query: dict[str, str]) -> None:
    assert boss.get(PROGRAMS, **query).status_code == 200


# The actions


def test_actions_do_one_verb_to_each_chosen_program(api: Api, boss: AdminClient) -> None:
    one, two = api.add(name="one"), api.add(name="two")
    assert summary_of(boss.act("start", one, two)) == "2 started"
    pids = [api.until(id, "running")["status"]["pid"] for id in (one, two)]
    assert summary_of(boss.act("restart", one)) == "1 restarted"
    eventually(lambda: api.word(one) == "running" and api.pid(one) != pids[0], what="one runs again")
    assert api.pid(two) == pids[1]
    assert summary_of(boss.act("stop", one, two)) == "2 stopped"
    assert [api.word(one), api.word(two)] == ["stopped", "stopped"]
    assert summary_of(boss.act("disable", one, two)) == "2 disabled"
    assert not api.get(f"programs/{one}").json()["program"]["enabled"]
    assert summary_of(boss.act("enable", two)) == "1 enabled"
    assert api.get(f"programs/{two}").json()["program"]["enabled"]


def test_actions_mean_all_instances_of_a_port_range(api: Api, boss: AdminClient) -> None:
    id = api.add(TAKES_PORT, port_range={"start": 21200, "end": 21203})
    boss.act("start", id)
    eventually(lambda: api.get(f"status/{id}").json()["running_count"] == 4, what="all instances run")
    boss.act("stop", id)
    assert api.get(f"status/{id}").json()["instances"] == []


def test_action_that_fails_for_one_program_is_done_to_the_others(api: Api, boss: AdminClient) -> None:
    disabled, missing, fine = (
        api.add(name="disabled one", enabled=False),
        api.add("/no/such/file", name="missing"),
        api.add(name="fine"),
    )
    answer = boss.act("start", disabled, missing, fine)
    assert len(re.findall('class="batch-summary"', answer.text)) == 1
    why = "can't be started: command not found: /no/such/file"
    assert summary_of(answer) == f"1 started, 1 skipped: disabled, 1 failed: {why}"
    assert details_of(answer) == [
        "1 started – fine",
        "1 skipped: disabled – disabled one",
        f"1 failed: {why} – missing",
    ]
    api.until(fine, "running")


def test_actions_stand_in_the_history_of_the_program(api: Api, boss: AdminClient) -> None:
    id = api.add()
    boss.act("start", id)
    boss.press(id, "stop")
    history = text_of(boss.page(f"{PROGRAMS}{id}/history/"))
    assert "Started." in history
    assert "Stopped" in history


def test_deleting_chosen_programs_asks_first_then_stops_whole_trees(
    api: Api, boss: AdminClient, stack: Stack
) -> None:
    ids = [api.add("sh -c 'setsid sleep 4711 & exec sleep 4712'", boot=True) for _ in range(2)]
    trees = [tree_of(api, id) for id in ids]
    kept = api.add()
    asked = boss.act("delete_selected", *ids)
    assert "Are you sure" in asked.text
    assert [api.word(id) for id in ids] == ["running", "running"]
    done = boss.act("delete_selected", *ids, post="yes")
    assert summary_of(done) == "2 deleted"
    assert not any(process.is_running() for tree in trees for process in tree)
    assert [api.get(f"programs/{id}").status_code for id in (*ids, kept)] == [404, 404, 200]
    assert not any((stack.folder / "conf.d" / f"program-{id}.json").exists() for id in ids)


def test_delete_page_stops_the_whole_tree_and_removes_the_program(api: Api, boss: AdminClient) -> None:
    id = api.add("sh -c 'setsid sleep 4711 & exec sleep 4712'", name="doomed", boot=True)
    tree = tree_of(api, id)
    assert "Are you sure" in boss.page(f"{PROGRAMS}{id}/delete/")
    done = boss.post(f"{PROGRAMS}{id}/delete/", {"post": "yes"}, follow=True)
    assert messages_of(done) == ["The program “doomed” was deleted successfully."]
    assert not any(process.is_running() for process in tree)
    assert api.get(f"programs/{id}").status_code == 404


def tree_of(api: Api, id: int) -> list[psutil.Process]:
    leader = psutil.Process(api.until(id, "running")["status"]["pid"])
    eventually(lambda: len(leader.children(recursive=True)) == 1, what="the child is there")
    return [leader, *leader.children(recursive=True)]


# Permissions


def test_viewer_sees_everything_and_can_do_nothing(api: Api, viewer: AdminClient) -> None:
    id = api.add(name="seen")
    before = api.get(f"programs/{id}").json()
    page = viewer.page(PROGRAMS)
    assert "stopped" in row_of(page, id)
    assert actions_of(page) == set()
    shown = viewer.page(f"{PROGRAMS}{id}/change/")
    assert "sleep 1000" in shown
    assert 'value="Save"' not in shown
    assert re.findall(r"<button(?![^>]*data-span)", live_html(shown)) == []
    for action in ("start", "stop", "restart", "enable", "disable", "delete_selected"):
        viewer.act(action, id, post="yes")
    for path, data in (
        (f"{PROGRAMS}{id}/operate/", {"start": "all"}),
        *((f"{PROGRAMS}batch/", {"verb": verb, "id": id}) for verb in ("start", "stop", "disable")),
        (f"{PROGRAMS}{id}/change/", {"name": "changed"}),
        (f"{PROGRAMS}{id}/delete/", {"post": "yes"}),
        (f"{PROGRAMS}add/", {"name": "added", "command": "true", "user": OWN_USER}),
    ):
        assert viewer.post(path, data).status_code == 403, path
    assert api.get(f"programs/{id}").json() == before
    assert api.word(id) == "stopped"


@pytest.mark.parametrize(
    ("person", "actions"),
    [
        ("starter", {"start", "stop", "restart"}),
        ("changer", {"enable", "disable"}),
        ("operator", {"start", "stop", "restart", "enable", "disable", "delete_selected"}),
    ],
)
def test_actions_are_those_that_the_person_may_do(
    staffed: Stack, api: Api, person: str, actions: set[str]
) -> None:
    id = api.add()
    admin = AdminClient(staffed, person)
    assert actions_of(admin.page(PROGRAMS)) == actions
    buttons = set(re.findall(r'name="(\w+)" value="all"', admin.page(f"{PROGRAMS}{id}/change/")))
    assert buttons == actions & {"start", "disable"}  # of one that is enabled and does not run
    for button in ("start", "disable", "enable"):
        answer = admin.post(f"{PROGRAMS}{id}/operate/", {button: "all"})
        assert answer.status_code == (302 if button in actions else 403), button
    buttons = set(re.findall(r'name="(\w+)" value="all"', admin.page(f"{PROGRAMS}{id}/change/")))
    fitting = {"start", "disable"} if "enable" in actions else {"stop", "restart"}
    assert buttons - {"signal"} == actions & fitting
    admin.act("disable", id)
    assert api.get(f"programs/{id}").json()["program"]["enabled"] is ("disable" not in actions)


def test_every_permission_but_those_to_view_opens_no_page_and_does_nothing(
    staffed: Stack, api: Api, quick: Quick
) -> None:
    """As with the API: what a user may not view they may not change, delete or operate either."""
    id, temporary = api.add(name="unseen"), quick.run("sleep 1000")
    record = re.search(rf"/{LAUNCHES}(\d+)/change/", AdminClient(staffed).page(LAUNCHES))
    assert record
    assert get_resolver().url_patterns  # loads the pages
    desk = AdminClient(staffed, "blind")
    index = desk.page()
    for model in apps.get_models():
        if not admin.site.is_registered(model):
            continue
        place = f"{model._meta.app_label}/{model._meta.model_name}/"
        assert place not in index
        key = {PROGRAMS: id, LAUNCHES: record[1]}.get(place, 1)
        for path in ("", "add/", f"{key}/change/", f"{key}/delete/", f"{key}/history/"):
            answer = desk.session.get(f"{desk.url}{place}{path}", allow_redirects=False, timeout=60)
            assert answer.status_code == 403, f"{place}{path}"
            if not path.endswith("/history/"):
                assert desk.post(f"{place}{path}", {"post": "yes", "name": "x"}).status_code == 403, path
        for name in ("delete_selected", "start", "stop", "enable", "disable", "purge", "rotate", "redeliver"):
            data = {"action": name, "_selected_action": key, "post": "yes"}
            assert desk.post(place, data).status_code == 403, name
    for path in (
        *(f"{PROGRAMS}{id}/operate/", f"{PROGRAMS}{id}/webhook-secret/", "auth/user/1/password/"),
        f"{PROGRAMS}batch/",
    ):
        assert desk.post(path, {"start": "all", "verb": "start", "id": id}).status_code == 403, path
    for path in (f"{PROGRAMS}rows/", f"{PROGRAMS}ids/"):
        assert desk.get(path, id=id).status_code == 403, path
    for path in (f"{LAUNCHES}rows/", *(f"{LAUNCHES}{record[1]}/{page}/" for page in ("live", "keep"))):
        assert desk.get(path).status_code == 403, path
    assert desk.get("daemon_programs/event/rows/").status_code == 403
    assert desk.post(f"{LAUNCHES}{record[1]}/operate/", {"action": "stop"}).status_code == 403
    assert api.word(id) == "stopped"
    assert quick.status(temporary)["status"] == "running"
    assert AdminClient(staffed).get("auth/user/1/change/").status_code == 200


def test_admin_requires_a_login(stack: Stack) -> None:
    anonymous = stack.client(None).session
    parts = [f"{PROGRAMS}{part}/" for part in ("1/change", "rows", "ids", "batch")]
    for path in ("", PROGRAMS, *parts, TOKENS):
        answer = anonymous.get(f"{stack.url}/admin/{path}", allow_redirects=False, timeout=60)
        assert answer.status_code == 302, path
        assert "/admin/login/" in answer.headers["Location"]


# Without supervisord


def test_without_supervisord_the_admin_says_so_and_changes_nothing(own_stack: Stack) -> None:
    own_stack.start()
    create_users(own_stack)
    api, admin = own_stack.api, AdminClient(own_stack)
    id = api.add(name="kept", description="before")
    before = configuration_of(own_stack), api.get("programs").json()
    with own_stack.without_supervisord():
        listed = admin.get(PROGRAMS)
        assert listed.status_code == 200
        assert messages_of(listed) == [
            "The states of the programs are unknown: supervisord can't be reached; nothing was changed"
        ]
        assert "unknown" in row_of(listed.text, id)

        saved = admin.change(id, description="typed with care", name="renamed")
        assert saved.status_code == 200
        assert "supervisord can't be reached; nothing was changed" in errors_of(saved)
        assert "typed with care" in saved.text
        added = admin.add(name="new", command="true", user=OWN_USER)
        assert "supervisord can't be reached; nothing was changed" in errors_of(added)
        refusal = ["“kept”: supervisord can't be reached; nothing was changed"]
        failure = "1 failed: supervisord can't be reached; nothing was changed"
        for action in ("start", "stop", "restart", "enable", "disable"):
            assert summary_of(admin.act(action, id)) == failure, action
        assert summary_of(admin.act("delete_selected", id, post="yes")) == failure
        assert (
            messages_of(admin.post(f"{PROGRAMS}{id}/delete/", {"post": "yes"}, follow=True))[0] == refusal[0]
        )
        assert messages_of(admin.press(id, "start")) == refusal

        assert (configuration_of(own_stack), api.get("programs").json()) == before
        assert "Save" in admin.page(f"{PROGRAMS}{id}/change/")


def configuration_of(stack: Stack) -> dict[str, str]:
    return {file.name: file.read_text() for file in (stack.folder / "conf.d").iterdir()}


@contextmanager
def counted_calls(stack: Stack) -> Iterator[list[bytes]]:
    """Stand between the API and supervisord, pass everything on, and note each call."""
    calls: list[bytes] = []
    path, real = stack.folder / "supervisor.sock", stack.folder / "real.sock"
    path.rename(real)

    def carry(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):  # one side has gone
            while data := source.recv(65536):
                calls.extend(re.findall(b"<methodName>(.*?)</methodName>", data))
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def serve() -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(str(real))
            for pair in ((near, far), (far, near)):
                threading.Thread(target=carry, args=pair, daemon=True).start()

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        threading.Thread(target=serve, daemon=True).start()
        try:
            renew_api(stack)  # it keeps its connections
            yield calls
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            path.unlink()
            real.rename(path)


def renew_api(stack: Stack) -> None:
    old = stack.api.get("health").json()["pid"]
    os.kill(old, signal.SIGKILL)

    def renewed() -> bool:
        with suppress(requests.ConnectionError):
            return bool(stack.api.get("health").json()["pid"] != old)
        return False

    eventually(renewed, 30, "gunicorn has a new worker")


# Around it


def test_head_line_names_the_service_and_links_its_documentation(boss: AdminClient) -> None:
    page = boss.page()
    assert "Daemon API" in page
    assert '<a href="/api/docs/">API documentation</a>' in page
