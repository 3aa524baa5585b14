"""What published clients send as it stands: every documented default, and the calls of their workflow.

docs/contract.md, sections 1 ("Defaults") and 8 ("Requests of published clients").
"""

from typing import Any

import pytest

from daemon_programs.models.fields import DEFAULT_PORT_PARAM, PROGRAM_FIELDS, TEMPORARY_FIELDS
from tests.admin_client import AdminClient, create_users, messages_of, summary_of
from tests.processes import started
from tests.stack import OWN_USER, Api, Stack
from tests.temporary_programs import Quick

PUBLISHED_DEFAULTS = {
    "enabled": True, "boot": False, "delay_seconds": 0, "autorestart": "unexpected", "priority": 999,
    "logs_enabled": True, "log_max_bytes": 5242880, "log_backups": 2, "hoody_kit": False,
    "port_param": "--port", "lazy_load": False,
}  # fmt: skip


def defaults(fields: Any) -> dict[str, Any]:
    """Every default of some fields; null is that of a field that is not set."""
    listed = {field.name: field.default for field in fields if field.default is not None or field.nullable}
    return {**listed, "port_param": DEFAULT_PORT_PARAM} if "port_param" in listed else listed


@pytest.mark.parametrize("sent", [PUBLISHED_DEFAULTS, defaults(PROGRAM_FIELDS)], ids=["published", "all"])
def test_defaults_that_are_sent_change_nothing(api: Api, sent: dict[str, Any]) -> None:
    plain = api.get(f"programs/{api.add(name='plain')}").json()["program"]
    id = api.add(name="explicit", **sent)
    own = {"id": id, "name": "explicit"}
    logs = ("stdout_logfile", "stderr_logfile")
    expected = {**plain, **own, **{name: plain[name].replace("plain", "explicit") for name in logs}}
    assert api.get(f"programs/{id}").json()["program"] == expected
    pid = started(api, id)
    assert api.ok(f"programs/edit/{id}", sent)["program"] == expected
    assert api.ok(f"programs/edit/{id}", {**expected, **sent})["program"] == expected  # its log files too
    assert api.pid(id) == pid


def test_published_edit_of_a_program_is_taken(api: Api) -> None:
    id = api.add(name="published edit", command="sleep 1000")
    body = {"name": "published edit", "description": "x", "command": "sleep 1001", "user": OWN_USER}
    changed = api.ok(f"programs/edit/{id}", {**body, **PUBLISHED_DEFAULTS})["program"]
    assert changed["command"] == "sleep 1001"
    assert "port_param" not in changed


def test_default_port_parameter_means_nothing_without_ports(api: Api) -> None:
    ports = {"start": 64000, "end": 64000}
    id = api.add(port_param="--port")
    ranged = api.ok(f"programs/edit/{id}", {"port_range": ports, "port_param": "-p"})["program"]
    assert ranged["port_param"] == "-p"
    # With a range it is a value as any other.
    assert api.ok(f"programs/edit/{id}", {"port_param": "--port"})["program"]["port_param"] == "--port"
    cleared = api.ok(f"programs/edit/{id}", {"port_range": None, "port_param": "--port"})["program"]
    assert cleared.keys().isdisjoint({"port_range", "port_param"})
    sentence = "port_param requires port_range to be set"
    assert api.refused(f"programs/edit/{id}", {"port_param": "-p"}) == sentence


def test_defaults_of_the_verbs_are_taken(api: Api) -> None:
    start = {"wait": False, "timeout": 30, "if_not_running": False, "all": False}
    restart = {"wait": False, "timeout": 30, "all": False}
    plain, ranged = api.add(), api.add(port_range={"start": 64000, "end": 64001})
    for id, which in ((plain, {}), (ranged, {"port": 64000})):
        for _ in range(2):
            answer = api.ok(f"programs/{id}/start", {**start, **which})
            assert answer.keys() == ({"success", "instance"} if which else {"success"})
        api.ok(f"programs/{id}/restart", {**restart, **which})
        assert api.get(f"programs/{id}/logs", type="stdout", lines=100, **which).status_code == 200
        api.ok(f"programs/{id}/stop", {"all": False, **which})
        api.ok(f"programs/{id}/stop", {"all": True})


def test_defaults_of_a_quick_start_are_taken(quick: Quick, stack: Stack) -> None:
    published = {name: value for name, value in PUBLISHED_DEFAULTS.items() if name in {
        "autorestart", "priority", "delay_seconds", "logs_enabled", "log_max_bytes", "log_backups",
    }}  # fmt: skip
    for sent in (published, {**defaults(TEMPORARY_FIELDS), "ttl": None, "wait": False, "timeout": 30}):
        body = {"command": "sh -c 'echo hi; sleep 50'", "user": OWN_USER, **sent}
        answer = stack.api.ok("quick-start", body)
        assert answer["status"] == "starting"
        id = answer["temporary_id"]
        log = stack.api.get(f"quick-start/{id}/logs", type="stdout", lines=100)
        assert log.status_code == 200
        stack.api.ok(f"quick-start/{id}/stop")


def test_admin_says_that_a_program_runs_already(api: Api, stack: Stack) -> None:
    create_users(stack)
    boss = AdminClient(stack)
    id, other = api.add(name="runs"), api.add(name="does not")
    pid = started(api, id)
    assert messages_of(boss.press(id, "start")) == ["“runs” runs already."]
    assert summary_of(boss.act("start", id, other)) == "1 started, 1 ran already"
    assert api.pid(id) == pid
    assert "Started" not in boss.page(f"daemon_programs/program/{id}/history/")
