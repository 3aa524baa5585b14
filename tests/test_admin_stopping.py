"""The admin: reloads and signals as buttons, and how a program ends in its form."""

import re

import requests

from daemon_programs.supervisor.processes.signals import SIGNALS
from tests.admin_client import PROGRAMS, AdminClient, live_html, messages_of
from tests.processes import shell, started
from tests.stack import Api, Stack, eventually

PORTS = {"start": 25_400, "end": 25_402}


def live(admin: AdminClient, id: int) -> str:
    return live_html(admin.page(f"{PROGRAMS}{id}/change/"))


def test_button_reloads_a_program_that_has_a_reload(api: Api, boss: AdminClient) -> None:
    id, plain = api.add(name="reloads", reload={"command": "echo reloaded"}), api.add()
    api.ok(f"programs/{id}/start", {"wait": True})
    assert 'name="reload" value="all"' in live(boss, id)
    assert 'name="reload"' not in live(boss, plain)
    assert messages_of(boss.press(id, "reload")) == ["“reloads”: reloaded."]
    assert api.logs(id, type="stderr") == "reloaded"
    history = boss.page(f"{PROGRAMS}{id}/history/")
    assert "Reloaded: “reloads”." in history


def test_reload_that_fails_is_a_message(api: Api, boss: AdminClient) -> None:
    id = api.add(name="stuck", reload={"command": "false"})
    assert messages_of(boss.press(id, "reload")) == [f"“stuck”: Program with ID {id} is not running"]
    api.ok(f"programs/{id}/start", {"wait": True})
    assert messages_of(boss.press(id, "reload")) == [
        f"“stuck”: Program with ID {id} was not reloaded: its reload command ended with exit code 1"
    ]


def test_instances_have_buttons_of_their_own(api: Api, boss: AdminClient) -> None:
    id = api.add("sleep 1000 {port}", port_range=PORTS, reload={"command": "echo reloaded"})
    for port in (25_400, 25_401):
        started(api, id, port)
    assert 'name="reload" value="25401"' in live(boss, id)
    boss.press(id, "reload", "25401")
    assert api.logs(id, port=25_401, type="stderr") == "reloaded"
    assert api.logs(id, port=25_400, type="stderr") == ""


def test_signal_is_chosen_from_a_list_and_sent(api: Api, boss: AdminClient) -> None:
    id = api.add(shell("trap 'echo heard' USR1; echo ready; while :; do sleep 0.05; done"), name="hears")
    assert "signal_name" not in live(boss, id)
    started(api, id)
    eventually(lambda: api.logs(id) == "ready")
    assert re.findall(r"<option>(\w+)</option>", live(boss, id)) == list(SIGNALS)
    said = messages_of(send(boss, id, "USR1"))
    assert said == ["“hears”: SIGUSR1 sent."]
    eventually(lambda: api.logs(id) == "ready\nheard")
    assert "SIGUSR1 sent." in boss.page(f"{PROGRAMS}{id}/history/")
    assert messages_of(send(boss, id, "SEGV")) == ["“hears”: The signal does not exist"]
    api.ok(f"programs/{id}/stop")
    assert messages_of(send(boss, id, "USR1")) == [f"“hears”: Program with ID {id} is not running"]


def send(admin: AdminClient, id: int, name: str) -> requests.Response:
    return admin.post(f"{PROGRAMS}{id}/operate/", {"signal": "all", "signal_name": name}, follow=True)


def test_signals_and_reloads_need_the_permission_to_operate(
    stack: Stack, api: Api, boss: AdminClient
) -> None:
    id = api.add(name="guarded", reload={"command": "echo reloaded"})
    started(api, id)
    for person in ("viewer", "changer"):
        admin = AdminClient(stack, person)
        shown = set(re.findall(r'<button[^>]* name="(\w+)"', live(admin, id)))
        assert shown == ({"disable"} if person == "changer" else set())
        assert "signal_name" not in live(admin, id)
        for button in ({"reload": "all"}, {"signal": "all", "signal_name": "KILL"}):
            assert admin.post(f"{PROGRAMS}{id}/operate/", button).status_code == 403
    assert api.pid(id)
    assert api.logs(id, type="stderr") == ""


def test_form_has_the_rules_of_the_api(api: Api, boss: AdminClient) -> None:
    id = api.add()
    path = f"{PROGRAMS}{id}/change/"
    for reload, sentence in (
        ('{"signal": "KILL"}', "must have a signal of"),
        ("[]", "must be {&quot;signal&quot;: &quot;HUP&quot;}"),
        ("{", "This is not valid JSON"),
    ):
        form = boss.form(path)
        assert sentence in boss.post(path, {**form, "reload": reload}).text
    form = boss.form(path)
    values = {"stop_signal": "QUIT", "stop_scope": "tree", "reload": '{"command": "true"}'}
    assert boss.post(path, {**form, **values}).status_code == 302
    program = api.get(f"programs/{id}").json()["program"]
    assert (program["stop_signal"], program["stop_scope"]) == ("QUIT", "tree")
    assert program["reload"] == {"command": "true"}
    assert boss.post(path, {**boss.form(path), "reload": ""}).status_code == 302
    assert "reload" not in api.get(f"programs/{id}").json()["program"]
