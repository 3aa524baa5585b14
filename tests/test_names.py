"""Any text without quotes and control characters is a name that works, from add to remove."""

from pathlib import Path

import pytest

from tests.processes import shell, started, tree
from tests.stack import OWN_USER, Api, Stack, eventually

NAMES = {
    "all": "all",
    "api": "api",
    "a name of the stack": "supervisord",
    "a star": "*",
    "128 characters": "n" * 128,
    "spaces": "  two  words ",
    "colon": "group:name",
    "brackets": "[x]",
    "section": "[program:x]",
    "expansion": "%(ENV_PATH)s",
    "comment": "a ;b #c",
    "japanese": "日本",
    "emoji": "🚀",
    "128 emoji": "🚀" * 128,
    "slash": "a/b",
    "upwards": "..",
    "far upwards": "../../../../etc/passwd",
    "here": ".",
    "hidden": ".hidden",
    "tilde": "~root",
    "backslash": "a\\nb",
    "placeholder": "{port}",
    "line separator": "a\u2028b",
    "right to left": "\u202eabc",
    "number": "0",
    "route": "add",
    "html": "<b>&amp;",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_name_works_from_add_to_remove(api: Api, stack: Stack, name: str) -> None:
    id = api.add(shell("echo hello; echo oops >&2; exec sleep 1000"), name=name)
    assert api.get("programs", name=name).json()["programs"][0]["id"] == id
    assert api.refused("programs/add", {"name": name, "command": "true", "user": OWN_USER}) == (
        f"Name '{name}' is already in use by another program"
    )
    pid = started(api, id)
    assert [process.pid for process in tree(stack, id)] == [pid]
    assert api.status(id)["status"]["pid"] == pid
    shown = {each["id"]: each for each in api.get("status").json()["statuses"]}[id]
    assert (shown["name"], shown["status"]["pid"]) == (name, pid)
    assert eventually(lambda: api.logs(id)) == "hello"
    assert eventually(lambda: api.logs(id, type="stderr")) == "oops"
    log = Path(api.get(f"programs/{id}/logs").json()["log_file"])
    assert stack.folder / "logs" == log.parent.parent
    api.ok(f"programs/{id}/restart")
    assert api.ok(f"programs/remove/{id}") == {"success": True, "id": id}
    assert tree(stack, id) == []
    assert api.get("programs", name=name).json() == {"programs": []}
    assert log.read_text().startswith("hello\n")


@pytest.mark.parametrize(
    "name",
    ["all", "日本", "[x]", "128 emoji", "a/b", "{port}"],
    ids=["all", "cjk", "brackets", "emoji", "slash", "port"],
)
def test_name_works_for_port_ranges(api: Api, stack: Stack, name: str) -> None:
    name = NAMES.get(name, name)
    id = api.add(shell("echo $2; exec sleep 1000"), name=name, port_range={"start": 64000, "end": 64001})
    started(api, id, 64000)
    assert api.status(id, port=64000)["instance"]["instance_name"] == f"{name}_64000"
    assert eventually(lambda: api.logs(id, port=64000)) == "64000"
    assert api.logs(id, port=64001) == ""
    api.ok(f"programs/remove/{id}")
    assert tree(stack, id) == []


def test_default_logs_lie_in_a_folder_of_the_name(api: Api, stack: Stack) -> None:
    for name in ("all", "[x]", "%(ENV_PATH)s", "日本", "🚀", "  two  words "):
        program = api.get(f"programs/{api.add(name=name)}").json()["program"]
        assert program["stdout_logfile"] == f"{stack.folder}/logs/{name}/stdout.log"
        assert program["stderr_logfile"] == f"{stack.folder}/logs/{name}/stderr.log"


def test_no_two_names_share_a_log_folder(api: Api) -> None:
    """Names that can't be folder names get one that no other name can have."""
    names = ["a/b", "a_b", "a b", "..", ".", "~..", "🚀" * 128, "🚀" * 127, "{port}", "64000"]
    logs = [api.get(f"programs/{api.add(name=name)}").json()["program"]["stdout_logfile"] for name in names]
    of_ports = {"start": 64000, "end": 64000}
    first = api.add(name="p{port}", port_range=of_ports)
    second = api.add(name="p64000")
    logs += [
        api.get(f"programs/{first}/logs", port=64000).json()["log_file"],
        api.get(f"programs/{second}/logs").json()["log_file"],
    ]
    assert len(set(logs)) == len(logs)


def test_renamed_program_goes_on_under_its_new_name(api: Api, stack: Stack) -> None:
    id = api.add(shell("echo hello; exec sleep 1000"), name="before")
    started(api, id)
    api.ok(f"programs/edit/{id}", {"name": "after"})
    assert len(tree(stack, id)) == 1
    assert eventually(lambda: api.logs(id)) == "hello"
    assert api.get(f"programs/{id}/logs").json()["log_file"] == f"{stack.folder}/logs/after/stdout.log"
    assert api.add(name="before") != id
