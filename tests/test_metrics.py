"""``GET /metrics``: its formats, and that its values agree with the API."""

import os
import re
import signal
from typing import Any

import psutil
import pytest

from hoody_daemon import __version__
from tests.metrics_client import PROMETHEUS, Scrape, get, scrape, scrape_as_prometheus
from tests.processes import LONG_RUNNING, shell, started
from tests.stack import Api, Stack, eventually
from tests.temporary_programs import Quick

PLAIN = "text/plain; version=0.0.4; charset=utf-8"
PORTS = {"start": 64100, "end": 64104}
STATES = {"running", "stopped", "starting", "stopping", "backoff", "exited", "fatal", "unknown"}
PER_PROCESS = (
    "daemon_program_up",
    "daemon_program_state",
    "daemon_program_restarts_total",
    "daemon_program_start_time_seconds",
    "daemon_program_cpu_seconds_total",
    "daemon_program_resident_memory_bytes",
    "daemon_program_processes",
)
OF_LIVE_PROCESSES = PER_PROCESS[3:]


def labels_of(api: Api, id: int, port: int | None = None) -> dict[str, Any]:
    name = api.get(f"programs/{id}").json()["program"]["name"]
    return {"id": id, "name": name, "port": "" if port is None else port}


# Formats


def test_both_formats_are_valid_and_equivalent(api: Api, stack: Stack) -> None:
    started(api, api.add(LONG_RUNNING))
    plain, strict = scrape(stack), scrape_as_prometheus(stack)
    assert {name for name, _ in plain.samples} == {name for name, _ in strict.samples}
    assert strict.text.endswith("\n# EOF\n")
    assert set(PER_PROCESS) <= {name for name, _ in plain.samples}


def test_every_metric_is_named_and_described_as_prometheus_wants_it(api: Api, stack: Stack) -> None:
    started(api, api.add(LONG_RUNNING))
    found = scrape(stack)
    for family in found.families:
        assert family.documentation, family.name
        assert family.type != "unknown", family.name
        assert re.fullmatch("(daemon|process)_[a-z_]+", family.name)
        assert not re.search("_(milliseconds|ms|kilobytes|kb|percent|minutes)(_|$)", family.name)
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter"), sample.name
            assert all(re.fullmatch("[a-z]+", label) for label in sample.labels), sample.labels


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", PLAIN),
        ("*/*", PLAIN),
        ("text/plain", PLAIN),
        ("text/html,application/xhtml+xml,*/*;q=0.8", PLAIN),
        ("application/json", PLAIN),
        ("text/plain;version=0.0.4", PLAIN),
        ("text/plain;version=abc", PLAIN),
        ("application/openmetrics-text;version=1..0", PLAIN),
        ("application/openmetrics-text;version=0.0.1", PLAIN),
        (
            "application/openmetrics-text",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
        (PROMETHEUS, "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8"),
    ],
)
def test_format_is_the_one_that_is_asked_for(stack: Stack, accept: str, content_type: str) -> None:
    answer = get(stack, Accept=accept)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == content_type
    assert answer.text.endswith("# EOF\n") == content_type.startswith("application/openmetrics-text")


# Programs


def test_programs_by_state_are_those_of_the_status_list(api: Api, stack: Stack) -> None:
    started(api, api.add(LONG_RUNNING))
    started(api, api.add(f"{LONG_RUNNING} {{port}}", port_range=PORTS), 64101)
    api.add()
    api.add(enabled=False)
    api.ok(f"programs/{api.add('true')}/start", {"wait": True})

    def agree() -> bool:
        words = [each["status"]["status"] for each in api.get("status").json()["statuses"]]
        found = scrape(stack).by("state", "daemon_programs")
        assert found.keys() == STATES
        return found == {state: words.count(state) for state in STATES} and words.count("running") == 2

    eventually(agree)


def test_figures_of_a_program_are_those_of_its_status(api: Api, stack: Stack) -> None:
    id = api.add(shell("sleep 1000 & sh -c 'sleep 1000 & wait' & wait"))
    started(api, id)
    labels = labels_of(api, id)
    eventually(lambda: api.status(id)["stats"]["process_count"] == 4)
    api.until(id, "running")
    status, found = api.status(id), scrape(stack)
    assert found.value("daemon_program_up", **labels) == 1
    assert found.by("state", "daemon_program_state", id=id) == {"running": 1}
    assert found.value("daemon_program_restarts_total", **labels) == 0
    assert found.value("daemon_program_processes", **labels) == 4
    memory = status["stats"]["memory_rss_bytes"]
    assert found.value("daemon_program_resident_memory_bytes", **labels) == pytest.approx(memory, rel=0.2)
    began = psutil.Process(status["status"]["pid"]).create_time()
    assert found.value("daemon_program_start_time_seconds", **labels) == pytest.approx(began, abs=2)
    assert 0 <= (found.value("daemon_program_cpu_seconds_total", **labels) or 0) < 10


def test_orphans_belong_to_their_program(api: Api, stack: Stack) -> None:
    id = api.add(shell("(setsid sh -c 'sleep 1000; true' &); exec sleep 1000"))
    started(api, id)
    labels = labels_of(api, id)
    eventually(lambda: scrape(stack).value("daemon_program_processes", **labels) == 3)


def test_what_does_not_run_is_not_up_and_uses_nothing(api: Api, stack: Stack) -> None:
    stopped, disabled, exited = api.add(), api.add(enabled=False), api.add("true")
    api.ok(f"programs/{exited}/start", {"wait": True})
    found = scrape(stack)
    for id, state in [(stopped, "stopped"), (disabled, "stopped"), (exited, "exited")]:
        labels = labels_of(api, id)
        assert found.value("daemon_program_up", **labels) == 0
        assert found.value("daemon_program_state", **labels, state=state) == 1
        assert found.value("daemon_program_restarts_total", **labels) == 0
        assert not any(found.by("id", name, id=id) for name in OF_LIVE_PROCESSES)


def test_instances_have_their_own_series_once_they_were_started(api: Api, stack: Stack) -> None:
    id = api.add(f"{LONG_RUNNING} {{port}}", port_range=PORTS)
    for name in PER_PROCESS:
        assert scrape(stack).by("port", name, id=id) == {}
    for port in (64103, 64101):
        started(api, id, port)
        eventually(lambda port=port: api.status(id, port=port)["instance"]["status"] == "running")
    api.ok(f"programs/{id}/stop", {"port": 64103})
    found = scrape(stack)
    assert found.by("port", "daemon_program_up", id=id) == {"64101": 1, "64103": 0}
    assert found.by("port", "daemon_program_processes", id=id) == {"64101": 1}
    assert found.value("daemon_program_up", **labels_of(api, id, 64101)) == 1


def test_restarts_are_counted(api: Api, stack: Stack) -> None:
    id = api.add(LONG_RUNNING, autorestart="true")
    labels = labels_of(api, id)
    for restarts in (1, 2):
        pid = eventually(lambda: api.pid(id)) if restarts > 1 else started(api, id)
        api.until(id, "running")  # before that it would be a failed start
        os.kill(pid, signal.SIGKILL)
        eventually(
            lambda count=restarts: scrape(stack).value("daemon_program_restarts_total", **labels) == count
        )


def test_renamed_program_is_known_by_its_new_name(api: Api, stack: Stack) -> None:
    id = api.add(name="old name of it")
    api.ok(f"programs/edit/{id}", {"name": "new name of it"})
    assert scrape(stack).by("name", "daemon_program_up", id=id) == {"new name of it": 0}


@pytest.mark.parametrize("name", ["back\\slash \\n", "a=1,b=2", "{x} #1", "ünï 日本 \u2028 🐍", "  ", "\\"])
def test_names_are_exported_unchanged(api: Api, stack: Stack, name: str) -> None:
    id = api.add(name=f"{name}.")
    for found in (scrape(stack), scrape_as_prometheus(stack)):
        assert found.value("daemon_program_up", id=id, name=f"{name}.", port="") == 0


def test_temporary_programs_are_counted_and_not_named(quick: Quick, stack: Stack) -> None:
    id = quick.run(LONG_RUNNING, name="temporary and not named")
    quick.until(id, "running")
    found = scrape(stack)
    states = found.by("state", "daemon_temporary_programs")
    assert states.keys() == STATES
    listed = [each["status"] for each in quick.listed().values()]
    assert states["running"] == listed.count("running") >= 1
    assert id not in found.text
    assert "temporary and not named" not in found.text
    quick.stop(id)
    eventually(lambda: scrape(stack).by("state", "daemon_temporary_programs")["running"] < states["running"])


# The stack itself


def test_parts_of_the_stack_are_reported(stack: Stack) -> None:
    found = scrape(stack)
    assert found.value("daemon_supervisord_up") == 1
    parts = ("api", "scheduler", "listener", "prober")
    assert found.by("component", "daemon_component_up") == dict.fromkeys(parts, 1)
    assert found.value("daemon_build_info", version=__version__) == 1


def test_process_metrics_are_those_of_the_api(stack: Stack) -> None:
    found = scrape(stack)
    process = psutil.Process(stack.api.get("health").json()["pid"])
    assert found.value("process_start_time_seconds") == pytest.approx(process.create_time(), abs=2)
    memory = process.memory_info().rss
    assert found.value("process_resident_memory_bytes") == pytest.approx(memory, rel=0.5)


def test_recorded_events_are_counted(api: Api, stack: Stack) -> None:
    before = scrape(stack).value("daemon_events_recorded_total")
    assert before is not None
    api.ok(f"programs/{api.add('true')}/start", {"wait": True})

    def counted() -> bool:
        newest = api.get("events", limit=1).json()["events"][0]["id"]
        return scrape(stack).value("daemon_events_recorded_total") == newest >= before + 2

    eventually(counted)


def test_the_example_of_the_documents_is_valid(stack: Stack) -> None:
    from hoody_site.metrics.views import EXAMPLE

    described = {family.name: family for family in scrape(stack).families}
    for family in Scrape(EXAMPLE).families:
        assert family.type == described[family.name].type
        assert described[family.name].documentation == family.documentation
