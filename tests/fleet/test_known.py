"""What is known of a host's programs: snapshots, and events before, during and after them."""

from typing import Any

import pytest

from fleet.following.known import Known, Usage, state_of

STATS = {"pid": 5, "cpu_percent": 1.5, "memory_rss_bytes": 1000, "processes": []}


def program(id: int = 1, status: str = "stopped", **fields: Any) -> dict[str, Any]:
    return {"id": id, "name": f"p{id}", "enabled": True, "status": {"id": id, "status": status}, **fields}


def crew(*instances: dict[str, Any], total: int = 3, key: str = "instance") -> dict[str, Any]:
    running = sum(each["status"] == "running" for each in instances)
    status = {
        "type": "numprocs",
        "running_instances": running,
        "total_instances": total,
        "instances": list(instances),
    }
    return {"id": 1, "name": "crew", "enabled": True, "status": status}


def instance(number: int, status: str, **fields: Any) -> dict[str, Any]:
    return {"instance": number, "instance_name": f"crew_{number}", "status": status, **fields}


def change(state: str, id: int | None = 1, **fields: Any) -> dict[str, Any]:
    return {"id": 9, "program_id": id, "name": "crew", "state": state, "by": "supervisord", **fields}


def known(*listed: dict[str, Any]) -> Known:
    made = Known()
    made.replace(listed, with_stats=True, later=())
    made.take_changed()
    return made


@pytest.mark.parametrize(
    ("document", "word"),
    [
        (program(status="backoff"), "backoff"),
        (program(status="running", enabled=False), "disabled"),
        (crew(), "stopped"),
        (crew(instance(0, "fatal"), instance(1, "running")), "running"),
        (crew(instance(0, "starting"), instance(1, "backoff")), "starting"),
        (crew(instance(0, "exited"), instance(1, "stopping")), "stopping"),
        (crew(instance(0, "fatal"), instance(1, "fatal")), "stopped"),
        (crew(instance(0, "fatal"), instance(1, "fatal"), total=2), "fatal"),
    ],
)
def test_state_is_one_word_as_the_host_lists_it(document: dict[str, Any], word: str) -> None:
    assert state_of(document) == word


def test_only_what_differs_is_a_change() -> None:
    first = program(1, "running", stats=STATS)
    first["status"] |= {"pid": 5, "uptime": "0:00:01"}
    programs = known(first, program(2), program(3))
    assert programs.usage == {1: Usage(1.5, 1000)}
    second = program(1, "running")
    second["status"] |= {"pid": 5, "uptime": "0:00:06"}
    programs.replace([second, program(2, name="other"), program(4)], with_stats=False, later=())
    assert programs.take_changed() == {2, 3, 4}
    assert programs.take_changed() == set()
    assert programs.programs[1]["status"] == {"id": 1, "status": "running", "pid": 5}
    assert programs.usage == {1: Usage(1.5, 1000)}  # of the last time that it was asked for
    programs.replace(list(programs.programs.values()), with_stats=True, later=())
    assert programs.take_changed() == {1}


def test_usage_of_instances_counts_together() -> None:
    made = known(crew(instance(0, "running", stats=STATS), instance(1, "running", stats=STATS)))
    assert made.usage == {1: Usage(3.0, 2000)}
    assert "stats" not in str(made.programs)


def test_event_changes_the_state_of_a_program() -> None:
    programs = known(program())
    assert programs.apply(change("running", pid=7)) is False
    assert programs.programs[1]["status"] == {"id": 1, "status": "running", "pid": 7}
    assert programs.take_changed() == {1}
    programs.apply(change("exited", pid=7))
    assert programs.programs[1]["status"] == {"id": 1, "status": "exited"}


def test_event_changes_the_state_of_an_instance() -> None:
    programs = known(crew(instance(0, "running", pid=5)))
    programs.apply(change("starting", instance=2, pid=8))
    programs.apply(change("running", instance=1, pid=7))
    assert programs.programs[1]["status"]["instances"] == [
        instance(0, "running", pid=5),
        instance(1, "running", pid=7),
        instance(2, "starting", pid=8),
    ]
    assert programs.programs[1]["status"]["running_instances"] == 2
    programs.apply(change("stopped", instance=0, pid=5))
    assert [each["instance"] for each in programs.programs[1]["status"]["instances"]] == [1, 2]


def test_event_of_another_configuration_changes_nothing() -> None:
    programs = known(program(1), crew())
    before = dict(programs.programs)
    programs.apply(change("running", 1, pid=7))  # of the time before it had instances
    assert programs.programs == before


def test_event_tells_whether_more_may_have_changed() -> None:
    programs = known(program())
    assert programs.apply(change("running", id=None, temporary_id="quick_1")) is False
    assert programs.apply(change("running", id=2)) is True  # it is new
    assert programs.apply(change("stopped", user="alice")) is True  # she may have edited it


def test_event_that_came_during_a_snapshot_is_applied_to_it_again() -> None:
    programs = known(program())
    programs.apply(change("running", pid=7))
    programs.replace([program()], with_stats=False, later=[change("running", pid=7)])
    assert state_of(programs.programs[1]) == "running"
