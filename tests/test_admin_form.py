"""The form of a program: it keeps what is typed, refuses what the API refuses, and never half-saves."""

import json
import re
from typing import Any

import pytest
import requests

from tests.admin_client import PROGRAMS, AdminClient, errors_of, messages_of, row_of, text_of
from tests.faults import no_configuration_folder
from tests.processes import LONG_RUNNING
from tests.stack import OWN_USER, Api, Stack, eventually


def document(api: Api, id: int) -> dict[str, Any]:
    answer = api.get(f"programs/{id}").json()["program"]
    assert isinstance(answer, dict)
    return answer


def find(api: Api, name: str) -> dict[str, Any] | None:
    return next(iter(api.get("programs", name=name).json()["programs"]), None)


def as_typed(fields: dict[str, Any]) -> dict[str, Any]:
    """The contract's fields as one fills them into the form; None leaves a box unticked."""
    typed: dict[str, Any] = {}
    for name, value in fields.items():
        if name == "port_range":
            typed |= {"port_start": value["start"], "port_end": value["end"]}
        elif name == "terminal_interactive":
            typed[name] = str(value).lower()
        elif isinstance(value, bool):
            typed[name] = "on" if value else None
        else:
            typed[name] = json.dumps(value) if isinstance(value, dict) else value
    return typed


# It keeps what is typed

AWKWARD = [
    {"name": "  two  spaces at each end  "},
    {"name": "all"},
    {"name": "日本 🚀 : [x] %(ENV_PATH)s <b>&amp;</b>"},
    {"name": "🚀" * 128},
    {"command": "sh -c 'exec sleep 1000'   "},
    {"command": "  sh -c 'echo \"  <&>\\t\\\\ %(here)s ; # \" \u2028\u0085; exec sleep 1000' 'ü \t'"},
    {"description": "\n\nfirst\n  second\n"},
    {
        "environment": {
            "A": "line\nbreak\r\n",
            "EMPTY": "",
            "Q": "'\"\\",
            "LONG": "x" * 50_000,
            "T": " \t🚀\u2028",
        }
    },
    {"environment": {}},
    {"port_range": {"start": 22000, "end": 22004}, "port_param": " --listen='a b'\n-p "},
    {"port_range": {"start": 22000, "end": 22004}, "lazy_load": True},
    {"autorestart": "true", "delay_seconds": 3600, "priority": 1, "display": ":7", "stop_grace_seconds": 0},
    {"logs_enabled": False, "log_max_bytes": 2**53 - 1, "log_backups": 0},
    {"stdout_logfile": "/tmp/ a  log ", "directory": "/"},
    {"terminal_id": 2201, "terminal_shell": "bash", "terminal_interactive": False},
    {"ready_port": 65535},
    {"env_file": "-/etc/a b.env", "umask": "077", "nice": 5, "limits": {"nofile": 9, "core": "unlimited"}},
    {"redirect_stderr": True, "log_timestamps": True, "labels": {"example.com/team": "web", "empty": ""}},
    {"limits": {}, "labels": {}},
    {"ready": {"log": "^<b>\u2028 \\d+$"}, "health": {"command": "sh -c 'true'", "failures": 2}},
    {"webhooks": {"enabled": True, "urls": ["https://example.com/hook"], "events": ["EXITED"], "retry": 1}},
]


@pytest.mark.parametrize("fields", AWKWARD, ids=str)
def test_saving_without_a_change_changes_nothing(api: Api, boss: AdminClient, fields: dict[str, Any]) -> None:
    id = api.add(**{"command": "sh -c 'exec sleep 1000'", **fields})
    before = document(api, id)
    answer = boss.change(id)
    assert errors_of(answer) == []
    assert document(api, id) == before


def test_saving_without_a_change_leaves_the_process_alone(api: Api, boss: AdminClient) -> None:
    id = api.add(environment={"A": "b\r\nc"}, description="a\nb", boot=True)
    pid = api.until(id, "running")["status"]["pid"]
    boss.change(id)
    boss.change(id, description="another")
    assert api.pid(id) == pid


@pytest.mark.parametrize("fields", AWKWARD, ids=str)
def test_what_is_typed_is_what_the_api_would_have_stored(
    api: Api, boss: AdminClient, fields: dict[str, Any]
) -> None:
    fields = {"name": "by hand", "command": "sh -c 'exec sleep 1000'", "user": OWN_USER, **fields}
    answer = boss.add(**as_typed(fields))
    assert errors_of(answer) == []
    typed = find(api, fields["name"])
    assert typed
    api.ok(f"programs/remove/{typed['id']}")
    sent = document(api, api.add(**fields))
    assert {**typed, "id": 0} == {**sent, "id": 0}


def test_new_program_starts_at_once_if_it_is_one_to_start_at_boot(api: Api, boss: AdminClient) -> None:
    answer = boss.add(name="booted", command="sleep 1000", user=OWN_USER, boot="on")
    assert messages_of(answer) == ["The program “booted” was added successfully."]
    program = find(api, "booted")
    assert program
    api.until(program["id"], "running")


def test_change_of_what_runs_restarts_it_once(api: Api, boss: AdminClient) -> None:
    id = api.add("sleep 1000", boot=True)
    old = api.until(id, "running")["status"]["pid"]
    page = boss.change(id, command="sleep 1001").text
    assert "starting" in row_of(page, id) or "running" in row_of(page, id)
    assert api.until(id, "running")["status"]["pid"] != old
    assert document(api, id)["command"] == "sleep 1001"


def test_disabling_stops_it_before_the_next_page(api: Api, boss: AdminClient) -> None:
    id = api.add("sleep 1000", boot=True)
    api.until(id, "running")
    page = boss.change(id, enabled=None).text
    assert "stopped" in row_of(page, id)
    assert document(api, id)["enabled"] is False


def test_fields_are_cleared_by_emptying_them(api: Api, boss: AdminClient) -> None:
    id = api.add(
        directory="/",
        environment={"A": "b"},
        display="1",
        terminal_id=2202,
        webhooks={"enabled": False, "urls": ["https://example.com/"]},
    )
    boss.change(id, directory="", environment="  ", display="", terminal_id="", webhooks="")
    after = document(api, id)
    assert after["environment"] == {}
    assert not {"directory", "display", "terminal_id", "webhooks"} & set(after)


# It refuses what the API refuses, in the same words

REFUSED: list[dict[str, Any]] = [
    {"name": "it's"},
    {"name": 'a "quote"'},
    {"name": "tab\there"},
    {"name": " "},
    {"name": "taken"},
    {"command": " "},
    {"command": "sleep 'unclosed"},
    {"command": "a\nb"},
    {"command": "''"},
    {"user": "no-such-user"},
    {"user": f"{OWN_USER} "},
    {"directory": "/no/such/folder"},
    {"directory": "relative"},
    {"directory": " /tmp"},
    {"environment": {"1A": "x"}},
    {"environment": {"A": 1}},
    {"environment": {"A": None}},
    {"environment": {"A": "\0"}},
    {"environment": {"A": "\ud800"}},
    {"environment": {"\ud800": "A"}},
    {"environment": {"A": "x" * (128 * 1024)}},
    {"display": " 1"},
    {"display": "one"},
    {"stdout_logfile": "relative.log"},
    {"stderr_logfile": "/tmp"},
    {"port_range": {"start": 22500, "end": 22499}},
    {"port_range": {"start": 22500, "end": 23500}},
    {"port_range": {"start": 22405, "end": 22500}},
    {"port_param": "--listen"},
    {"port_range": {"start": 22500, "end": 22501}, "port_param": "'"},
    {"boot": True, "lazy_load": True},
    {"terminal_shell": "bash"},
    {"terminal_id": 2203, "port_range": {"start": 22500, "end": 22501}},
    {"ready_port": 22500, "port_range": {"start": 22500, "end": 22501}},
    {"webhooks": {"enabled": True, "urls": ["https://localhost/"]}},
    {"webhooks": {"enabled": True, "urls": ["https://example.com/"], "events": "NO"}},
    {"webhooks": {}},
    {"webhooks": {"urls": "x", "unknown": [{}]}},
    {"webhooks": {"urls": [], "\ud800": 1}},
]


@pytest.mark.parametrize("fields", REFUSED, ids=lambda fields: str(fields)[:70])
def test_form_refuses_what_the_api_refuses_in_the_same_words(
    api: Api, boss: AdminClient, fields: dict[str, Any]
) -> None:
    api.add("sh -c 'exec sleep 1000'", name="taken", port_range={"start": 22400, "end": 22409})
    whole = {"name": "refused", "command": "sleep 1000", "user": OWN_USER, **fields}
    errors = api.post("programs/add", whole).json()["errors"]
    answer = boss.add(**as_typed(whole))
    said = " ".join(errors_of(answer))
    assert answer.status_code == 200
    for sentence in (sentence for sentences in errors.values() for sentence in sentences):
        # An unprintable name is a question mark to the API and to the form.
        assert " ".join(sentence.split()) in said
    assert find(api, whole["name"]) is None or whole["name"] == "taken"


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("delay_seconds", "3601"),
        ("delay_seconds", "-1"),
        ("delay_seconds", ""),
        ("delay_seconds", "9" * 5000),
        ("stop_grace_seconds", "301"),
        ("stop_grace_seconds", ""),
        ("priority", "0"),
        ("priority", "1.5"),
        ("log_backups", "101"),
        ("log_max_bytes", str(2**63)),
        ("port_start", "22600"),
        ("port_start", str(2**70)),
        ("terminal_id", "65536"),
        ("ready_port", "0"),
        ("autorestart", "sometimes"),
        ("autorestart", ""),
        ("terminal_shell", "csh"),
        ("description", "x" * 501),
        ("name", "x" * 129),
        ("environment", "[]"),
        ("environment", "null"),
        ("environment", '"A"'),
        ("environment", "{A: 1}"),
        ("environment", '{"A": NaN}'),
        ("environment", '{"A": "1", "A": "2"}'),
        ("environment", "[" * 100_000),
        ("environment", '{"A":' * 100_000),
        ("environment", "1" * 5000),
        ("environment", '{"\\ud800": "\\udfff"}'),
        ("env_file", "/etc/a.env\nb.env"),
        ("umask", "0o22"),
        ("umask", ""),
        ("nice", "20"),
        ("nice", ""),
        ("limits", "[]"),
        ("limits", '{"nofile": "5"}'),
        ("limits", "5"),
        ("labels", "[]"),
        ("labels", '{"a b": "c"}'),
        ("webhooks", "{}x"),
        ("webhooks", "[]"),
        ("webhooks", '{"urls": [["\\ud800"]], "\\ud800": {"a": NaN}}'),
    ],
    ids=lambda value: str(value)[:30],
)
def test_form_names_the_field_that_it_refuses(api: Api, boss: AdminClient, field: str, text: str) -> None:
    answer = boss.add(**{"name": "refused", "command": "true", "user": OWN_USER, field: text})
    assert answer.status_code == 200
    assert f'id="id_{field}_error"' in answer.text
    assert find(api, "refused") is None


TEXTS = ["name", "description", "command", "user", "directory", "environment", "port_param", "display"]


@pytest.mark.parametrize("field", [*TEXTS, "stdout_logfile", "webhooks", "priority", "autorestart", "boot"])
@pytest.mark.parametrize(
    "text", ["a\0b", "\0", "\ufffe\x1b[31m<script>alert(1)</script>", "%(ENV_HOME)s{}{{"]
)
def test_no_text_in_any_field_is_an_internal_error(
    api: Api, boss: AdminClient, field: str, text: str
) -> None:
    answer = boss.add(**{"name": "odd", "command": "true", "user": OWN_USER, field: text})
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text
    assert "\0" not in text or field == "boot" or errors_of(answer)


def test_largest_program_that_the_api_takes_can_be_saved_by_hand_too(api: Api, boss: AdminClient) -> None:
    command = "true " + " ".join("é" * 60_000 for _ in range(7))
    body = json.dumps({"name": "large", "command": command, "user": OWN_USER}, ensure_ascii=False).encode()
    id = api.post("programs/add", data=body, headers={"Content-Type": "application/json"}).json()["id"]
    assert errors_of(boss.change(id, description="saved")) == []
    assert document(api, id)["command"] == command
    assert document(api, id)["description"] == "saved"


def test_form_larger_than_any_program_is_refused(boss: AdminClient) -> None:
    answer = boss.add(name="large", command="true", description="x" * 5_000_000)
    assert answer.status_code in (400, 413)


def test_fields_left_out_of_a_change_are_an_error_or_stay(api: Api, boss: AdminClient) -> None:
    id = api.add(environment={"A": "b"}, description="kept")
    before = document(api, id)
    answer = boss.post(f"{PROGRAMS}{id}/change/", {"name": "only this"}, follow=True)
    assert errors_of(answer)
    assert document(api, id) == before


def test_value_of_several_lines_is_shown_whole(api: Api, boss: AdminClient) -> None:
    id = api.add(LONG_RUNNING, reload={"signal": "HUP"})
    [area] = re.findall(r'<textarea name="reload"[^>]*>', boss.get(f"{PROGRAMS}{id}/change/").text)
    assert 'rows="3"' in area


def test_files_of_variables_are_typed_as_lines(api: Api, boss: AdminClient) -> None:
    typed = "/a.env\r\n\r\n-/b.env\r\n"
    answer = boss.add(name="lines", command="true", user=OWN_USER, env_file=typed)
    assert errors_of(answer) == []
    program = find(api, "lines")
    assert program
    assert program["env_file"] == ["/a.env", "-/b.env"]
    boss.change(program["id"], description="another")
    assert document(api, program["id"])["env_file"] == ["/a.env", "-/b.env"]
    boss.change(program["id"], env_file="", labels="", limits="")
    assert document(api, program["id"]).keys().isdisjoint({"env_file", "labels", "limits"})


# It saves whole or not at all


def test_change_that_cannot_be_written_is_reported_and_undone(
    api: Api, boss: AdminClient, stack: Stack
) -> None:
    id = api.add(name="stuck", description="before", enabled=False)
    before = document(api, id)
    with no_configuration_folder(stack):
        answer = boss.change(id, description="typed with care", enabled="on")
        assert answer.status_code == 200
        assert "The state of the daemon can't be written or read at the moment" in errors_of(answer)
        assert "typed with care" in answer.text
        assert document(api, id) == before
        assert not tells_of_success(answer)
    boss.change(id, description="typed with care", enabled="on")
    assert document(api, id)["enabled"] is True


def tells_of_success(answer: requests.Response) -> bool:
    return any("successfully" in message for message in messages_of(answer))


def test_program_that_is_gone_is_said_to_be_gone(api: Api, boss: AdminClient) -> None:
    id = api.add()
    api.ok(f"programs/remove/{id}")
    for path in (f"{PROGRAMS}{id}/change/", f"{PROGRAMS}{id}/delete/"):
        answer = boss.post(path, {"name": "x", "post": "yes"}, follow=True)
        assert answer.status_code == 404, path
        assert f"There is no program with the id “{id}”: perhaps it was removed" in text_of(answer.text), path
    eventually(lambda: api.get(f"programs/{id}").status_code == 404)
