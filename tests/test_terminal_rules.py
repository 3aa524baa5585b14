"""The rules of ``terminal_id``, ``terminal_shell`` and ``terminal_interactive``, each with its sentence."""

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from daemon_programs.supervisor import terminals
from tests.stack import OWN_USER, Api
from tests.terminal_programs import numbers


def refusals(api: Api, fields: dict[str, Any], **before: Any) -> set[str]:
    """What ``add`` and ``edit`` say."""
    body = {"name": "new", "command": "true", "user": OWN_USER, **before, **fields}
    id = api.add(enabled=False, **before)
    return {api.refused("programs/add", body), api.refused(f"programs/edit/{id}", fields)}


@pytest.mark.parametrize("value", [0, -1, 65536, 10**20])
def test_terminal_number_has_the_range_of_ports(api: Api, value: int) -> None:
    assert refusals(api, {"terminal_id": value}) == {"Field 'terminal_id' must be between 1 and 65535"}


@pytest.mark.parametrize("value", ["1", 1.0, True, [1]])
def test_terminal_number_is_an_integer(api: Api, value: Any) -> None:
    assert refusals(api, {"terminal_id": value}) == {"Field 'terminal_id' must be an integer"}


@pytest.mark.parametrize("value", ["ksh", "BASH", "bash ", "", "/bin/bash", 1, True, ["bash"]])
def test_shell_is_one_of_five(api: Api, value: Any) -> None:
    expected = {"Field 'terminal_shell' must be one of: bash, zsh, fish, sh, tmux"}
    assert refusals(api, {"terminal_id": next(numbers), "terminal_shell": value}) == expected


@pytest.mark.parametrize("value", ["true", 1, 0, "", []])
def test_interactive_is_a_boolean(api: Api, value: Any) -> None:
    expected = {"Field 'terminal_interactive' must be true or false"}
    assert refusals(api, {"terminal_id": next(numbers), "terminal_interactive": value}) == expected


@pytest.mark.parametrize("name", terminals.SHELLS)
def test_shell_without_a_number_is_refused(api: Api, name: str) -> None:
    assert refusals(api, {"terminal_shell": name}) == {"terminal_shell requires terminal_id to be set"}


@pytest.mark.parametrize("interactive", [True, False])
def test_interactive_without_a_number_is_refused(api: Api, interactive: bool) -> None:
    expected = {"terminal_interactive requires terminal_id to be set"}
    assert refusals(api, {"terminal_interactive": interactive}) == expected


def test_port_range_can_not_have_a_terminal(api: Api) -> None:
    ports = {"port_range": {"start": 64000, "end": 64001}}
    number = {"terminal_id": next(numbers)}
    expected = {"Field 'terminal_id' can't be combined with port_range"}
    body = {"name": "new", "command": "true", "user": OWN_USER}
    assert {
        api.refused("programs/add", {**body, **ports, **number}),
        api.refused(f"programs/edit/{api.add(**ports)}", number),
        api.refused(f"programs/edit/{api.add(**number)}", {"port_range": {"start": 1, "end": 1}}),
    } == expected


def test_terminal_number_is_unique(api: Api) -> None:
    number = {"terminal_id": next(numbers)}
    owner = api.add(name="the owner", **number)
    expected = {f"Terminal {number['terminal_id']} is already in use by program 'the owner'"}
    assert refusals(api, number) == expected
    api.ok(f"programs/edit/{owner}", number)  # it may keep its own
    api.ok(f"programs/edit/{owner}", {"terminal_id": None})
    assert api.add(**number)


def test_number_of_a_removed_program_is_free(api: Api) -> None:
    number = {"terminal_id": next(numbers)}
    api.ok(f"programs/remove/{api.add(**number)}")
    assert api.add(**number)


def test_all_three_come_back_as_they_were_sent(api: Api) -> None:
    terminal = {"terminal_id": 65535, "terminal_shell": "sh", "terminal_interactive": False}
    program = api.get(f"programs/{api.add(**terminal)}").json()["program"]
    assert program == {**program, **terminal}


def test_null_for_the_number_clears_shell_and_interactive(api: Api) -> None:
    id = api.add(terminal_id=next(numbers), terminal_shell="sh", terminal_interactive=True)
    shown = api.ok(f"programs/edit/{id}", {"terminal_id": None})["program"]
    assert not [key for key in shown if key.startswith("terminal")]
    assert api.get(f"programs/{id}").json()["program"] == shown


@pytest.mark.parametrize("field", ["terminal_shell", "terminal_interactive"])
def test_null_clears_shell_or_interactive_alone(api: Api, field: str) -> None:
    terminal = {"terminal_id": next(numbers), "terminal_shell": "sh", "terminal_interactive": True}
    shown = api.ok(f"programs/edit/{api.add(**terminal)}", {field: None})["program"]
    del terminal[field]
    assert {key: value for key, value in shown.items() if key.startswith("terminal")} == terminal


def test_null_for_the_number_can_not_come_with_a_shell(api: Api) -> None:
    id = api.add(terminal_id=next(numbers), terminal_shell="sh")
    sentence = api.refused(f"programs/edit/{id}", {"terminal_id": None, "terminal_shell": "bash"})
    assert sentence == "terminal_shell requires terminal_id to be set"
    assert api.get(f"programs/{id}").json()["program"]["terminal_shell"] == "sh"


@pytest.mark.django_db
@pytest.mark.parametrize("name", terminals.SHELLS)
def test_shell_that_is_not_installed_is_refused_with_its_package(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # where nothing is installed
    client = APIClient()
    client.force_authenticate(User.objects.create_superuser("boss"))
    body = {"name": "x", "command": "true", "user": OWN_USER, "terminal_id": 1, "terminal_shell": name}
    answer = client.post("/api/v1/daemon/programs/add", body, format="json", headers={"host": "localhost"})
    assert answer.status_code == 400
    assert answer.json()["error"] == (
        f"Terminal shell '{name}' is not installed: on Debian and Ubuntu, apt install {name}"
    )
