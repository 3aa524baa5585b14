"""The rules of ``numprocs``, and what the history and old files make of it."""

import json
from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from daemon_programs.history import store
from daemon_programs.models import Event, Program
from daemon_programs.supervisor import instances
from daemon_programs.supervisor.events import StateChange
from daemon_programs.supervisor.plugin.context import Context
from daemon_programs.supervisor.plugin.programs.configuration import ProgramGroupConfig, read
from daemon_programs.supervisor.spec import Specification, log_per_instance
from daemon_programs.webhooks.deliveries import body_of
from tests.admin_client import PROGRAMS, AdminClient, errors_of, live_of, messages_of, row_of
from tests.processes import shell
from tests.stack import OWN_USER, Api, temporary_stack

PORTS = {"start": 64300, "end": 64302}


# The values


@pytest.mark.parametrize("value", [0, -1, 1001, 10**30])
def test_number_is_limited(api: Api, value: int) -> None:
    assert refused(api, numprocs=value) == "Field 'numprocs' must be between 1 and 1000"


@pytest.mark.parametrize("value", ["3", 3.0, True, None, [3]])
def test_number_is_an_integer(api: Api, value: Any) -> None:
    assert refused(api, numprocs=value) == "Field 'numprocs' must be an integer"


def test_what_instances_can_not_have_is_refused(api: Api) -> None:
    both = "Field 'numprocs' can't be combined with port_range"
    assert refused(api, numprocs=2, port_range=PORTS) == both
    assert refused(api, numprocs=2, terminal_id=7) == "Field 'terminal_id' can't be combined with numprocs"
    assert refused(api, numprocs=2, ready_port=80) == "Field 'ready_port' can't be combined with numprocs"
    sentence = "port_param requires port_range to be set"
    assert refused(api, numprocs=2, port_param="-p") == sentence
    ranged, several = api.add("true", port_range=PORTS), api.add("true", numprocs=2)
    assert api.refused(f"programs/edit/{ranged}", {"numprocs": 2}) == both
    assert api.refused(f"programs/edit/{several}", {"port_range": {"start": 64310, "end": 64310}}) == both
    for id in (ranged, api.add("true", terminal_id=9), api.add("true", ready_port=80)):
        api.ok(f"programs/edit/{id}", {"numprocs": 1})


def refused(api: Api, **fields: Any) -> str:
    return api.refused("programs/add", {"name": "p", "command": "true", "user": OWN_USER, **fields})


@pytest.mark.django_db
def test_database_refuses_a_range_of_several_processes() -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Program.objects.bulk_create([Program(name="p", command="true", numprocs=2, port_start=1, port_end=2)])


def check(**fields: Any) -> None:
    Program(name="p", command="true", user=OWN_USER, **fields).full_clean(validate_constraints=False)


@pytest.mark.django_db
@pytest.mark.parametrize("field", ["ready", "health"])
def test_placeholder_in_an_address_needs_what_replaces_it(field: str) -> None:
    http = {"http": "http://127.0.0.1:900{instance}/?n={instance}"}
    check(**{field: http}, numprocs=10)
    with pytest.raises(ValidationError, match=r"contains \{instance\}, which requires numprocs to be set"):
        check(**{field: http})
    with pytest.raises(ValidationError, match=r"contains \{instance\}, which requires numprocs to be set"):
        check(**{field: http}, port_start=64300, port_end=64302)
    for probe in ({"port": "{port}"}, {"http": "http://127.0.0.1:{port}/"}):
        with pytest.raises(ValidationError, match=r"contains \{port\}, which requires port_range to be set"):
            check(**{field: probe}, numprocs=3)
    check(**{field: {"command": "test {instance} = {port}"}}, numprocs=3)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:900{instance}/",  # 90010 is no port
        "http://127.0.0.{instance}:80/x{instance}",
        "http://{instance}27.0.0.1/",
        "http://{instance}/",
    ],
)
def test_address_must_be_one_for_each_instance(url: str) -> None:
    with pytest.raises(ValidationError, match=r"Field 'ready': 'http' must"):
        check(ready={"http": url}, numprocs=1000)


# Keys


def test_keys_are_told_apart_by_the_names_of_processes() -> None:
    for keys in (instances.keys_of((8000, 8002), 1), instances.keys_of(None, 3)):
        assert keys is not None
        assert len(keys) == len(list(keys)) == 3
        for key in keys:
            assert instances.key_of(key.process) == key
            assert key in keys
    assert instances.keys_of(None, 1) is None
    assert instances.key_of("program-7") is instances.key_of("quick_17") is None
    number, port = instances.Key(instances.NUMBER, 2), instances.Key(instances.PORT, 2)
    assert number not in (instances.keys_of((1, 3), 1) or ())
    assert port not in (instances.keys_of(None, 3) or ())
    assert number.fill("{port} {instance}") == "{port} 2"


def configured(folder: Path, **keys: Any) -> ProgramGroupConfig:
    file = folder / "program-1.json"
    file.write_text(json.dumps({"group": "program-1", "name": "p", "argv": ["x"], "user": "root", **keys}))
    return read(Context(*[None] * len(fields(Context))), file, lambda config: None)  # type: ignore[arg-type]


def test_file_of_an_older_version_has_one_process(tmp_path: Path) -> None:
    config = configured(tmp_path)
    assert config.spec == asdict(Specification(group="program-1", name="p", argv=["x"], user="root"))
    assert [each.name for each in config.process_configs] == ["program-1"]
    assert [each.name for each in configured(tmp_path, numprocs=2).process_configs] == ["_0", "_1"]
    assert [each.name for each in configured(tmp_path, ports=[80, 81]).process_configs] == ["80", "81"]
    for wrong in ("2", None, True):
        with pytest.raises(ValueError, match="needs an integer for each of"):
            configured(tmp_path, numprocs=wrong)


# The history


def change(number: int, process: str, state: str = "running", exit_code: int | None = None) -> StateChange:
    ended: Any = {"exit_code": exit_code, "signal": None, "error": None, "requested": False, "ended_at": 0}
    return StateChange(
        number=number,
        group="program-1",
        process=process,
        name="crew",
        from_state="starting",
        state=state,
        at=datetime.now(UTC) + timedelta(seconds=number),
        by="supervisord",
        pid=number,
        last_run=None if exit_code is None else ended,
    )


@pytest.mark.django_db
def test_events_and_webhooks_have_the_number() -> None:
    first, second, third = store.record("boot", [change(1, "_0"), change(2, "8000"), change(3, "program-1")])
    assert (first.instance, first.port, first.display_name) == (0, None, "crew_0")
    assert (second.instance, second.port, second.display_name) == (None, 8000, "crew_8000")
    assert (third.instance, third.port, third.display_name) == (None, None, "crew")
    assert store.event_document(first)["instance"] == 0
    assert "port" not in store.event_document(first)
    assert body_of(first)["instance"] == {"instance": 0, "instance_name": "crew_0"}
    assert body_of(second)["instance"] == {"port": 8000, "instance_name": "crew_8000"}
    assert "instance" not in body_of(third)


@pytest.mark.django_db
def test_gaps_are_closed_for_each_instance() -> None:
    store.record("boot", [change(number + 1, f"_{number}") for number in range(3)])
    states: Any = {"program-1": {"processes": {"_1": {"state": "running"}}}}
    closed = store.close_gaps(states)
    assert [(event.instance, event.state) for event in closed] == [(0, "stopped"), (2, "stopped")]
    assert store.close_gaps(states) == []


@pytest.mark.django_db
def test_loops_are_counted_for_each_instance() -> None:
    numbers = iter(range(1, 1000))
    for _ in range(12):
        for process in ("_0", "_1"):
            store.record("boot", [change(next(numbers), process, "backoff", exit_code=1)])
    for instance in (0, 1):
        events = Event.objects.filter(instance=instance).order_by("id")
        assert [event.repeated for event in events] == [1] * 10 + [2]


# The admin, and files


def test_admin_shows_and_operates_instances(api: Api, boss: AdminClient) -> None:
    id = api.add(shell("echo I am {instance}; exec sleep 1000"), numprocs=10, name="crew of ten")
    path = f"{PROGRAMS}{id}/change/"
    for number in ("0", "7"):
        said = messages_of(boss.press(id, "start", number))
        assert said == [f"“crew of ten”, instance {number}: started."]
    shown = live_of(boss.page(path))
    assert "running 2 of 10" in shown
    assert "InstanceStatepid" in shown
    assert "I am 0" in shown
    assert "0: starting → running" in shown
    chosen = live_of(boss.page(path, instance=7))
    assert "I am 7" in chosen
    assert "I am 0" not in chosen
    for odd in ("10", "x", "-1"):
        assert "I am 0" in live_of(boss.page(path, instance=odd))
    assert messages_of(boss.press(id, "start", "10")) == [
        "“crew of ten”: Instance 10 is outside valid range [0-9]"
    ]
    assert messages_of(boss.press(id, "stop", "x")) == ["“crew of ten”: The instance must be a number"]
    assert boss.press(id, "stop", "7").url.endswith("?instance=7")
    row = row_of(boss.page(PROGRAMS), id)
    assert "running 1 of 10" in row
    assert "0–9" in row
    boss.press(id, "start", "all")
    assert api.status(id)["running_count"] == 10


def test_form_refuses_with_the_same_sentences(api: Api, boss: AdminClient) -> None:
    id = api.add("true")
    said = errors_of(boss.change(id, numprocs="2", port_start="64300", port_end="64302"))
    assert said == ["Field 'numprocs' can't be combined with port_range"]
    assert errors_of(boss.change(id, numprocs="0"))
    assert errors_of(boss.change(id, numprocs="4")) == []
    assert api.get(f"programs/{id}").json()["program"]["numprocs"] == 4


def test_export_reset_import_keep_the_number(tmp_path: Path) -> None:
    with temporary_stack() as stack:
        stack.start()
        id = stack.api.add("sleep 1000", name="crew", numprocs=3, boot=True)
        file = tmp_path / "programs.json"
        assert stack.manage("export_programs", str(file)).returncode == 0
        stack.api.ok("programs/reset")
        assert all(each["id"] != id for each in stack.api.get("programs").json()["programs"])
        assert stack.manage("import_programs", str(file)).returncode == 0
        [crew] = [each for each in stack.api.get("programs").json()["programs"] if each["name"] == "crew"]
        assert crew["numprocs"] == 3
        status = stack.api.get(f"status/{crew['id']}").json()
        assert (status["total_count"], len(status["instances"])) == (3, 3)


@pytest.mark.parametrize(
    ("path", "of_each"),
    [
        ("/var/log/a.log", "/var/log/a_{instance}.log"),
        ("/var/log/{instance}/a.log", "/var/log/{instance}/a.log"),
        ("/dev/stdout", "/dev/stdout"),
        ("/proc/self/fd/1", "/proc/self/fd/1"),
    ],
)
def test_each_instance_has_a_log_of_its_own_but_shares_devices(path: str, of_each: str) -> None:
    assert log_per_instance(path, instances.NUMBER) == of_each
