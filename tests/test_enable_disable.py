"""``POST programs/{id}/enable`` and ``…/disable``."""

from typing import Any

from tests.processes import shell, started, tree
from tests.stack import Api, Stack, eventually


def shown(api: Api, id: int) -> dict[str, Any]:
    return api.get(f"programs/{id}").json()["program"]  # type: ignore[no-any-return]


def is_registered(stack: Stack, id: int) -> bool:
    return (stack.folder / "conf.d" / f"program-{id}.json").exists()


def test_disable_stops_and_withdraws(api: Api, stack: Stack) -> None:
    id = api.add(shell("sleep 1000 & sleep 1000"), boot=True)
    eventually(lambda: len(tree(stack, id)) > 1)
    answer = api.ok(f"programs/{id}/disable")
    assert answer == {"success": True, "program": {**shown(api, id), "enabled": False}}
    assert tree(stack, id) == []
    assert not is_registered(stack, id)
    assert api.status(id) == {"success": True, "status": {"id": id, "status": "stopped"}}


def test_enable_registers_and_does_not_start(api: Api, stack: Stack) -> None:
    id = api.add(enabled=False)
    answer = api.ok(f"programs/{id}/enable")
    assert answer == {"success": True, "program": {**shown(api, id), "enabled": True}}
    assert is_registered(stack, id)
    assert api.word(id) == "stopped"
    assert api.pid(id) is None


def test_enable_starts_a_boot_program(api: Api) -> None:
    id = api.add(enabled=False, boot=True)
    api.ok(f"programs/{id}/enable")
    assert api.pid(id)


def test_enable_starts_all_instances_of_a_boot_port_range(api: Api) -> None:
    id = api.add("sleep 1000 {port}", enabled=False, boot=True, port_range={"start": 64000, "end": 64002})
    api.ok(f"programs/{id}/enable")
    assert len(api.status(id)["instances"]) == 3


def test_enabling_what_is_enabled_leaves_it_alone(api: Api) -> None:
    id = api.add(boot=True)
    pid = started_by_boot(api, id)
    api.ok(f"programs/{id}/enable")
    assert api.pid(id) == pid


def test_enable_does_not_start_what_was_stopped(api: Api) -> None:
    id = api.add(boot=True)
    started_by_boot(api, id)
    api.ok(f"programs/{id}/stop")
    api.ok(f"programs/{id}/enable")
    assert api.word(id) == "stopped"


def test_disabling_what_is_disabled_is_a_success(api: Api) -> None:
    id = api.add(enabled=False)
    assert api.ok(f"programs/{id}/disable")["program"]["enabled"] is False


def test_disabled_program_can_be_edited_and_enabled_with_the_change(api: Api) -> None:
    id = api.add(enabled=False)
    api.ok(f"programs/edit/{id}", {"command": "echo edited"})
    api.ok(f"programs/{id}/enable")
    api.ok(f"programs/{id}/start", {"wait": True})
    assert api.logs(id) == "edited"


def test_going_off_and_on_again_disturbs_no_other_program(api: Api, stack: Stack) -> None:
    id, other = api.add(boot=True), api.add()
    pid = started(api, other)
    for _ in range(10):
        api.ok(f"programs/{id}/disable")
        api.ok(f"programs/{id}/enable")
    assert api.pid(other) == pid
    assert len(tree(stack, id)) == 1


def started_by_boot(api: Api, id: int) -> int:
    return eventually(lambda: api.pid(id))  # type: ignore[no-any-return]
