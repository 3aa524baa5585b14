"""What each instance of a program with ``numprocs`` has of its own: status, logs, probes, history."""

from pathlib import Path

import pytest

from tests.metrics_client import scrape
from tests.processes import python, shell
from tests.stack import Api, Stack, eventually, free_port
from tests.stream_client import StreamClient
from tests.test_numprocs import ALL, listed, name_of, pids, running, several, started

# Statuses, stats, metrics


def test_shapes_are_those_of_a_port_range(api: Api) -> None:
    id = several(api, shell("test {instance} != 2 && exec sleep 1000; exit 3"), name="w", autorestart="false")
    for number in (0, 2):
        api.ok(f"programs/{id}/start", {"instance": number})
    eventually(lambda: [each["status"] for each in api.status(id)["instances"]] == ["running", "exited"])
    answer = api.status(id)
    first, last = answer.pop("instances")
    assert answer == {"success": True, "running_count": 1, "total_count": 3}
    assert first.keys() == {"instance", "instance_name", "status", "pid", "uptime"}
    assert last == {"instance": 2, "instance_name": "w_2", "status": "exited"}
    assert api.status(id, instance=1) == {
        "success": True, "instance": {"instance": 1, "instance_name": "w_1", "status": "stopped"},
    }  # fmt: skip
    assert api.status(id, instance=2)["last_run"]["exit_code"] == 3
    shown = listed(api, id, include_stats="true")
    assert (shown["type"], shown["running_instances"], shown["total_instances"]) == ("numprocs", 1, 3)
    assert [each["instance"] for each in shown["instances"]] == [0, 2]
    assert shown["instances"][0]["stats"]["pid"] == first["pid"]
    assert "stats" not in shown["instances"][1]
    flat = api.get("status").json()["statuses"]
    assert next(each["status"] for each in flat if each["id"] == id) == {"id": id, "status": "running"}


def test_stats_are_there_on_request(api: Api) -> None:
    id = several(api)
    pid = started(api, id, 0)
    assert "stats" not in api.status(id)["instances"][0]
    [instance] = api.status(id, include_stats="true")["instances"]
    assert instance["stats"]["pid"] == pid
    assert api.status(id, instance=0)["instance"]["stats"]["pid"] == pid


def test_instances_have_metrics_of_their_own(api: Api, stack: Stack) -> None:
    id = several(api)
    for number in (0, 2):
        api.ok(f"programs/{id}/start", {"instance": number, "wait": True})
    api.ok(f"programs/{id}/stop", {"instance": 2})
    found = scrape(stack)
    assert found.by("number", "daemon_program_up", id=id, port="") == {"0": 1, "2": 0}
    assert found.by("number", "daemon_program_processes", id=id) == {"0": 1}
    assert found.by("number", "daemon_program_state", id=id, state="running") == {"0": 1}


# Logs


@pytest.mark.parametrize(
    ("path", "of_instance"),
    [("out.log", "out_1.log"), ("out", "out_1"), ("{instance}/out.log", "1/out.log")],
)
def test_each_has_its_own_log(api: Api, tmp_path: Path, path: str, of_instance: str) -> None:
    id = running(api, shell("echo I am {instance}; exec sleep 1000"), stdout_logfile=str(tmp_path / path))
    eventually(lambda: (tmp_path / of_instance).read_text() == "I am 1\n")
    answer = api.get(f"programs/{id}/logs", instance=1).json()
    assert (answer["logs"], answer["log_file"]) == ("I am 1", str(tmp_path / of_instance))


def test_default_logs_are_apart_whatever_the_name(api: Api, stack: Stack) -> None:
    for name in ("crew of three", "of {instance}"):
        id = running(api, shell("echo {instance}; echo error >&2; exec sleep 1000"), name=name)
        for number in range(3):
            eventually(lambda query={"id": id, "instance": number}: api.logs(**query))
            assert api.logs(id, instance=number) == str(number)
            assert api.logs(id, instance=number, type="stderr") == "error"
    assert (stack.folder / "logs" / "crew of three" / "stdout_2.log").exists()


def test_stream_of_an_instance_ends_with_it(api: Api, stack: Stack) -> None:
    id = running(api, shell("echo I am {instance}; exec sleep 1000"))
    with StreamClient(stack, f"programs/{id}/logs/stream", instance=2) as client:
        assert client.line() == "I am 2"
        api.ok(f"programs/edit/{id}", {"numprocs": 2})
        assert client.until("end", 30).data == {"reason": "changed"}


# Probes, roll-outs and what else is of each instance


def test_each_is_ready_and_healthy_by_itself(api: Api, tmp_path: Path) -> None:
    id = several(
        api,
        ready={"command": f"test -e {tmp_path}/ready{{instance}}", "interval": 1},
        health={"command": f"test ! -e {tmp_path}/ill{{instance}}", "interval": 1, "failures": 1,
                "grace_seconds": 0},
    )  # fmt: skip
    (tmp_path / "ready1").touch()
    api.ok(f"programs/{id}/start", {"all": True})
    eventually(
        lambda: [each.get("ready") for each in api.status(id)["instances"]] == [False, True, False], 20
    )
    before = pids(api, id)
    (tmp_path / "ill2").touch()
    eventually(lambda: api.status(id, instance=2).get("last_run", {}).get("reason") == "unhealthy", 20)
    assert [pids(api, id)[number] for number in (0, 1)] == [before[0], before[1]]


def test_number_may_be_a_part_of_a_probed_port(api: Api) -> None:
    tens = free_port() // 10
    serve = "import http.server, os; port = int(f\"{int(os.environ['TENS'])}{os.environ['INSTANCE']}\")\n"
    serve += (
        "http.server.HTTPServer(('127.0.0.1', port), http.server.SimpleHTTPRequestHandler).serve_forever()"
    )
    id = several(
        api,
        python(serve),
        numprocs=2,
        directory="/tmp",
        environment={"TENS": str(tens)},
        ready={"http": f"http://127.0.0.1:{tens}{{instance}}/"},
    )
    api.ok(f"programs/{id}/start", ALL)
    assert [each["ready"] for each in api.status(id)["instances"]] == [True, True]


def test_roll_out_restarts_one_after_the_other(api: Api) -> None:
    id = running(api)
    before = pids(api, id)
    assert api.ok(f"programs/{id}/restart", {**ALL, "rolling": 1}) == {"success": True}
    after = pids(api, id)
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values())
    api.ok(f"programs/edit/{id}", {"before_start": ["sh -c 'test {instance} != 1'"], "start_retries": 0})
    said = api.refused(f"programs/{id}/restart", {**ALL, "rolling": 1})
    assert said.startswith(f"Instance {name_of(api, id)}_1 did not start: ")
    assert said.endswith("; the roll-out has stopped after 1 of 3 instances")
    assert api.refused(f"programs/{id}/restart", {"rolling": 1, "instance": 1, "wait": True}) == (
        "Field 'rolling' needs all: true and wait: true"
    )


def test_commands_before_a_start_and_of_a_reload_know_the_number(api: Api) -> None:
    id = running(
        api,
        reload={"command": "echo reloads {instance}"},
        before_start=["echo prepares {instance}"],
    )
    api.ok(f"programs/{id}/reload", {"instance": 2})
    api.ok(f"programs/{id}/reload", {"all": True})
    assert api.logs(id, instance=1) == "prepares 1"
    assert api.logs(id, instance=1, type="stderr") == "reloads 1"
    assert api.logs(id, instance=2, type="stderr") == "reloads 2\nreloads 2"
    api.ok(f"programs/edit/{id}", {"reload": {"command": "sh -c 'test {instance} != 2'"}})
    said = f"Instance {name_of(api, id)}_2 was not reloaded: its reload command ended with exit code 1"
    assert api.refused(f"programs/{id}/reload", {"all": True}) == said


def test_signal_and_input_reach_the_chosen_one(api: Api) -> None:
    id = running(
        api, shell("trap 'echo heard' USR1; while :; do read -r line && echo $line; done"), stdin="pipe"
    )
    api.ok(f"programs/{id}/input", {"instance": 1, "text": "hello\n"})
    eventually(lambda: api.logs(id, instance=1) == "hello")
    api.ok(f"programs/{id}/signal", {"instance": 0, "signal": "USR1"})
    eventually(lambda: api.logs(id, instance=0) == "heard")
    assert api.logs(id, instance=2) == ""
    api.ok(f"programs/{id}/stop", {"instance": 2})
    said = api.refused(f"programs/{id}/signal", {"instance": 2, "signal": "USR1"})
    assert said == f"Instance {name_of(api, id)}_2 is not running"


def test_history_has_the_number(api: Api) -> None:
    id = several(api)
    started(api, id, 0)
    started(api, id, 2)

    def numbers() -> set[int]:
        events = api.get(f"programs/{id}/events").json()["events"]
        assert all("port" not in event for event in events)
        return {event["instance"] for event in events}

    eventually(lambda: numbers() == {0, 2})
