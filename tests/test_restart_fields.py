"""The fields that say when a program is restarted: their rules, and what they do to real processes."""

import json
import time
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from daemon_programs.admin.forms import ProgramForm
from daemon_programs.models import Program
from daemon_programs.supervisor.plugin.programs import configuration
from daemon_programs.supervisor.plugin.programs.backoff import RestartPolicy
from daemon_programs.supervisor.spec import Specification
from tests.events import events
from tests.processes import LONG_RUNNING, shell, started
from tests.stack import OWN_USER, Api, eventually
from tests.temporary_programs import Quick

CRASHES = shell("sleep 1.1; exit 1")
EXIT_CODES = "Field 'exit_codes' must be a list of one or more integers between 0 and 255"
NULLABLE = {"start_retries": (0, 10000), "restart_limit": (1, 10000), "max_runtime_seconds": (1, 31_536_000)}
FIELDS = {
    "start_seconds": 0,
    "start_retries": None,
    "restart_delay_seconds": 0,
    "restart_delay_max_seconds": 30,
    "stable_seconds": 5,
    "restart_limit": 7,
    "exit_codes": [0, 143],
    "max_runtime_seconds": 3600,
}

REFUSED: list[tuple[dict[str, Any], str]] = [
    *[({field: value}, f"Field '{field}' must be between {low} and {high}")
      for field, (low, high) in NULLABLE.items() for value in (low - 1, high + 1)],
    *[({field: value}, f"Field '{field}' must be an integer")
      for field in NULLABLE for value in ("5", 5.0, True, [5])],
    *[({"exit_codes": value}, EXIT_CODES)
      for value in ([], 5, "0", True, {"0": 1}, {}, [256], [-1], [True], ["0"], [0.0], [None], [[0]])],
    ({"exit_codes": None}, "Field 'exit_codes' must be an object or a list"),
    ({"restart_delay_seconds": 61},
     "Field 'restart_delay_seconds' must not be greater than restart_delay_max_seconds (60)"),
    ({"restart_delay_seconds": 10, "restart_delay_max_seconds": 5},
     "Field 'restart_delay_seconds' must not be greater than restart_delay_max_seconds (5)"),
    ({"max_runtime_seconds": 5, "start_seconds": 6},
     "Field 'start_seconds' must not be greater than max_runtime_seconds (5)"),
]  # fmt: skip


def at(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()


def states(api: Api, id: int) -> list[str]:
    return [event["state"] for event in events(api, id)]


# Rules


@pytest.mark.parametrize(("fields", "sentence"), REFUSED, ids=str)
def test_value_is_refused_with_its_sentence(api: Api, fields: dict[str, Any], sentence: str) -> None:
    body = {"name": "refused", "command": "true", "user": OWN_USER, **fields}
    assert api.refused("programs/add", body) == sentence


@pytest.mark.parametrize("codes", [None, [], {}, [256], "0"], ids=str)
def test_model_refuses_exit_codes_that_no_serializer_has_seen(codes: Any) -> None:
    with pytest.raises(ValidationError) as problem:
        Program(name="p", command="true", user=OWN_USER, exit_codes=codes).clean_fields()
    assert problem.value.message_dict == {"exit_codes": [EXIT_CODES]}


def test_fields_are_kept_and_left_out_while_they_have_their_default(api: Api) -> None:
    id = api.add(LONG_RUNNING, **FIELDS)
    shown = api.get(f"programs/{id}").json()["program"]
    assert {name: shown[name] for name in FIELDS} == FIELDS
    defaults = {"start_seconds": 1, "start_retries": 3, "restart_delay_seconds": 1, "exit_codes": [0]}
    defaults |= {"restart_delay_max_seconds": 60, "stable_seconds": 60}
    cleared = {"restart_limit": None, "max_runtime_seconds": None}
    shown = api.ok(f"programs/edit/{id}", {**defaults, **cleared})["program"]
    assert not shown.keys() & FIELDS.keys()


def test_exit_codes_are_sorted_and_listed_once(api: Api) -> None:
    id = api.add(LONG_RUNNING, exit_codes=[143, 0, 143, 2])
    assert api.get(f"programs/{id}").json()["program"]["exit_codes"] == [0, 2, 143]


def test_temporary_programs_have_a_time_to_live_instead_of_a_longest_run(api: Api) -> None:
    body = {"command": "true", "user": OWN_USER, "max_runtime_seconds": 60}
    assert api.refused("quick-start", body) == "Unknown field 'max_runtime_seconds'"


@pytest.mark.django_db
def test_form_of_the_admin_has_the_same_rules() -> None:
    from django.forms import modelform_factory

    form_class = modelform_factory(Program, form=ProgramForm, fields=list(FIELDS))
    filled = {**FIELDS, "start_retries": "", "exit_codes": "[143, 0]"}
    form = form_class(filled, instance=Program(name="p", command="true", user=OWN_USER))
    assert form.is_valid(), form.errors
    assert (form.instance.start_retries, form.instance.exit_codes) == (None, [0, 143])
    form = form_class({**filled, "exit_codes": "[256]"}, instance=Program(name="p", command="true"))
    assert EXIT_CODES in form.errors["exit_codes"]


def test_file_of_a_version_without_the_fields_is_read_with_their_defaults(tmp_path: Path) -> None:
    file = tmp_path / "program-1.json"
    old = json.loads(Specification(group="program-1", name="p", argv=["true"], user=OWN_USER).render())
    file.write_text(json.dumps({key: value for key, value in old.items() if key not in FIELDS}))
    context: Any = SimpleNamespace(options=SimpleNamespace())
    process = configuration.read(context, file, lambda config: None).process_configs[0]
    assert process.restart_policy == RestartPolicy()
    assert (process.startsecs, process.exitcodes, process.max_runtime_seconds) == (1, [0], None)


@pytest.mark.parametrize("wrong", [{"start_seconds": None}, {"start_retries": "3"}, {"exit_codes": ["0"]}])
def test_file_with_a_value_of_another_type_is_not_read(tmp_path: Path, wrong: dict[str, Any]) -> None:
    file = tmp_path / "program-1.json"
    text = Specification(group="program-1", name="p", argv=["true"], user=OWN_USER).render()
    file.write_text(json.dumps({**json.loads(text), **wrong}))
    context: Any = SimpleNamespace(options=SimpleNamespace())
    with pytest.raises(ValueError, match="needs an integer"):
        configuration.read(context, file, lambda config: None)


# Restarts and their limit


def test_limit_of_restarts_ends_in_fatal_with_a_sentence(api: Api) -> None:
    id = api.add(CRASHES, restart_limit=3, restart_delay_max_seconds=1)
    api.ok(f"programs/{id}/start")
    shown = api.until(id, "fatal", timeout=30)
    error = "it has reached its restart_limit of 3 without a run of stable_seconds (60)"
    assert shown["last_run"] | {"ended_at": ""} == {
        "exit_code": 1,
        "signal": None,
        "error": error,
        "ended_at": "",
    }
    assert (shown["restarts"], shown["restarts_since_stable"]) == (3, 3)
    told = eventually(lambda: (found := events(api, id))[-1]["state"] == "fatal" and found)
    assert [event["state"] for event in told].count("starting") == 4
    assert (told[-1]["error"], told[-1]["exit_code"]) == (error, 1)
    assert ("error" in told[-2], told[-2]["state"], told[-2]["exit_code"]) == (False, "exited", 1)


def test_start_that_is_waited_for_says_that_the_limit_is_reached(api: Api) -> None:
    id = api.add(shell("exit 3"), restart_limit=1, restart_delay_seconds=0)
    sentence = api.refused(f"programs/{id}/start", {"wait": True})
    assert sentence == (
        f"Program with ID {id} did not start: "
        "it has reached its restart_limit of 1 without a run of stable_seconds (60)"
    )


def test_status_announces_the_next_start(api: Api, tmp_path: Path) -> None:
    once = shell('test -e "$1" && exec sleep 100; touch "$1"; sleep 1.1; exit 1', str(tmp_path / "ran"))
    id = api.add(once, restart_delay_seconds=3)
    api.ok(f"programs/{id}/start")
    shown = api.until(id, "backoff")
    assert "restarts" not in shown
    next_start = shown["next_start_at"]
    assert next_start.endswith("Z")
    again = api.until(id, "running")
    assert (again["restarts"], again["restarts_since_stable"]) == (1, 1)
    assert "next_start_at" not in again
    begun = [at(event["at"]) for event in events(api, id) if event["state"] == "starting"]
    assert -0.1 < at(next_start) - begun[1] < 1.1
    assert 2.9 < begun[1] - begun[0] - 1.1 < 4


def test_delay_of_nothing_restarts_at_once_and_then_with_pauses(api: Api) -> None:
    id = api.add(shell("exit 3"), restart_delay_seconds=0, start_retries=3)
    begun = time.monotonic()
    api.ok(f"programs/{id}/start")
    eventually(lambda: states(api, id).count("starting") == 2, 0.9)
    api.until(id, "fatal")
    assert time.monotonic() - begun > 3


def test_failing_start_is_tried_without_end(api: Api) -> None:
    id = api.add(shell("exit 3"), start_retries=None, restart_delay_max_seconds=1)
    api.ok(f"programs/{id}/start")
    eventually(lambda: states(api, id).count("starting") > 5, 20)
    assert api.word(id) == "backoff"


def test_failing_start_is_not_tried_again(api: Api) -> None:
    id = api.add(shell("exit 3"), start_retries=0)
    assert api.refused(f"programs/{id}/start", {"wait": True}).endswith("it ended with exit code 3")
    eventually(lambda: states(api, id) == ["starting", "backoff", "fatal"])


def test_each_instance_has_counters_of_its_own(api: Api) -> None:
    ports = {"start": 24_310, "end": 24_311}
    id = api.add(shell("sleep 1.1; test {port} = 24310 && sleep 100"), port_range=ports)
    api.ok(f"programs/{id}/start", {"all": True})
    shown = eventually(lambda: (found := api.status(id, port=24_311)).get("restarts") and found)
    assert shown["restarts_since_stable"] == 1
    assert "restarts" not in api.status(id, port=24_310)


def test_edit_of_the_policy_counts_for_what_runs(api: Api) -> None:
    id = api.add(CRASHES)
    pid = started(api, id)
    api.ok(f"programs/edit/{id}", {"restart_limit": 1, "restart_delay_seconds": 0})
    assert api.pid(id) == pid
    api.until(id, "fatal")


def test_temporary_program_has_the_same_limit(quick: Quick) -> None:
    id = quick.run(shell("exit 3"), restart_limit=2, restart_delay_seconds=0)
    shown = quick.until(id, "fatal")
    error = "it has reached its restart_limit of 2 without a run of stable_seconds (60)"
    eventually(lambda: quick.status(id)["last_run"]["error"] == error)
    assert shown["status"] == "fatal"


def test_temporary_program_announces_its_next_start(quick: Quick) -> None:
    id = quick.run(CRASHES, restart_delay_seconds=30)
    shown = quick.until(id, "backoff")
    assert 20 < at(shown["next_start_at"]) - time.time() < 35


# Starting


def test_start_without_seconds_is_running_at_once(api: Api) -> None:
    id = api.add(LONG_RUNNING, start_seconds=0)
    api.ok(f"programs/{id}/start", {"wait": True})
    starting, running = eventually(lambda: len(found := events(api, id)) == 2 and found)
    assert [starting["state"], running["state"]] == ["starting", "running"]
    assert at(running["at"]) - at(starting["at"]) < 0.9


def test_command_that_cant_be_run_is_never_running(api: Api, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    tmp_path.chmod(0o755)
    id = api.add(str(script), start_seconds=0)
    assert "did not start" in api.refused(f"programs/{id}/start", {"wait": True})
    assert "running" not in eventually(lambda: "fatal" in (found := states(api, id)) and found)


def test_long_start_is_starting_meanwhile(api: Api) -> None:
    id = api.add(LONG_RUNNING, start_seconds=3)
    begun = time.monotonic()
    api.ok(f"programs/{id}/start")
    time.sleep(1.5)
    assert api.word(id) == "starting"
    api.until(id, "running")
    assert 2.9 < time.monotonic() - begun < 4


def test_failure_before_the_end_of_a_long_start_is_a_failed_start(api: Api) -> None:
    id = api.add(CRASHES, start_seconds=3, start_retries=1)
    api.ok(f"programs/{id}/start")
    api.until(id, "fatal")
    eventually(lambda: states(api, id) == [*["starting", "backoff"] * 2, "fatal"])


# Exit codes


@pytest.mark.parametrize("seconds", ["0", "1.2"])
def test_listed_exit_code_is_not_restarted(api: Api, seconds: str) -> None:
    """As java ends on SIGTERM: before it is running, and after."""
    id = api.add(shell(f"sleep {seconds}; exit 143"), exit_codes=[0, 143])
    api.ok(f"programs/{id}/start", {"wait": True})
    shown = api.until(id, "exited")
    assert shown["last_run"]["exit_code"] == 143
    time.sleep(1.5)
    assert "backoff" not in states(api, id)


def test_exit_code_that_is_not_listed_is_restarted(api: Api) -> None:
    id = api.add(shell("sleep 1.2; exit 0"), exit_codes=[143])
    api.ok(f"programs/{id}/start")
    api.until(id, "backoff")


def test_listed_exit_code_is_restarted_if_that_is_wanted_always(api: Api) -> None:
    id = api.add(shell("exit 143"), exit_codes=[143], autorestart="true")
    api.ok(f"programs/{id}/start")
    api.until(id, "backoff")
    eventually(lambda: states(api, id)[:3] == ["starting", "exited", "backoff"])


# The longest run


def test_program_is_restarted_after_its_longest_run(api: Api) -> None:
    id = api.add(LONG_RUNNING, max_runtime_seconds=2)
    pid = started(api, id)
    shown = eventually(lambda: (found := api.status(id)).get("last_run") and found)
    assert (shown["last_run"]["reason"], shown["last_run"]["signal"]) == ("max_runtime", "SIGTERM")
    eventually(lambda: api.pid(id) not in (None, pid))
    told = eventually(lambda: len(found := events(api, id)) > 4 and found)
    assert [(event["state"], event["by"]) for event in told[2:5]] == [
        ("stopping", "max_runtime"),
        ("stopped", "max_runtime"),
        ("starting", "max_runtime"),
    ]
    assert 1.9 < at(told[2]["at"]) - at(told[0]["at"]) < 3


def test_run_of_the_longest_start_is_running_before_it_is_restarted(api: Api) -> None:
    id = api.add(LONG_RUNNING, max_runtime_seconds=1)
    started(api, id)
    eventually(lambda: states(api, id)[:3] == ["starting", "running", "stopping"])


def test_longest_run_can_be_changed_while_it_runs(api: Api) -> None:
    id = api.add(LONG_RUNNING)
    pid = started(api, id)
    api.until(id, "running")
    for seconds in (3600, 2):
        api.ok(f"programs/edit/{id}", {"max_runtime_seconds": seconds})
        assert api.pid(id) == pid
    eventually(lambda: api.pid(id) not in (None, pid))


def test_stop_wins_over_the_restart_after_the_longest_run(api: Api) -> None:
    id = api.add(shell("trap '' TERM; sleep 100 & wait"), max_runtime_seconds=2, stop_grace_seconds=4)
    started(api, id)
    api.until(id, "stopping")
    api.ok(f"programs/{id}/stop")
    time.sleep(0.5)
    assert api.word(id) == "stopped"
    eventually(lambda: events(api, id)[-1]["by"] == "api")
