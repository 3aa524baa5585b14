"""What a program's page shows: the verbs that fit a state, tiles, how runs ended, and why a start fails."""

import os
import re
import time
from pathlib import Path
from typing import Any

import pytest

from daemon_programs.admin.presentation import instances, runs, verbs
from daemon_programs.admin.program.starts import explain
from daemon_programs.models import Program
from daemon_programs.supervisor.instances import PORT, Key
from tests.admin_client import PROGRAMS, AdminClient, live_of, messages_of, text_of
from tests.processes import shell, started
from tests.stack import Api, Stack, eventually

ENDED = {"pid": 7, "exit_code": 3, "signal": None, "error": None, "ended_at": time.time(), "requested": False}
RELOAD = {"signal": "HUP"}


def state(**process: Any) -> Any:
    return {"changing": False, "digest": "", "processes": {"program-1": process}}


def program(**fields: Any) -> Program:
    return Program(pk=1, name="web", command="true", user="root", **fields)


# The verbs


@pytest.mark.parametrize(
    ("process", "expected"),
    [
        ({"state": "stopped"}, ["Start", "Disable"]),
        ({"state": "exited"}, ["Start", "Disable"]),
        ({"state": "fatal"}, ["Start", "Disable"]),
        ({"state": "stopping", "pid": 7}, ["Start", "Disable"]),
        ({"state": "backoff"}, ["Stop", "Restart", "Disable"]),
        ({"state": "stopped", "queued": True}, ["Stop", "Restart", "Disable"]),
        ({"state": "running", "pid": 7}, ["Stop", "Restart", "Reload", "Disable"]),
    ],
)
def test_buttons_fit_the_state(process: dict[str, Any], expected: list[str]) -> None:
    shown = verbs.for_program(program(reload=RELOAD), state(**process), may_operate=True, may_change=True)
    assert [button.label for button in shown] == expected
    assert all(button.title for button in shown)


def test_buttons_are_those_that_one_may_press() -> None:
    running = state(state="running", pid=7)
    for may_operate, may_change, expected in (
        (False, False, []),
        (False, True, ["disable"]),
        (True, False, ["stop", "restart"]),
    ):
        shown = verbs.for_program(program(), running, may_operate=may_operate, may_change=may_change)
        assert [button.name for button in shown] == expected
    disabled = program(enabled=False)
    assert verbs.for_program(disabled, None, may_operate=True, may_change=False) == []
    (enable,) = verbs.for_program(disabled, None, may_operate=True, may_change=True)
    assert enable.name == "enable"


def test_buttons_of_instances_fit_what_runs_of_them() -> None:
    many = program(port_start=8000, port_end=8001)
    for running, expected in (
        ([], ["Start all"]),
        (["8000"], ["Start all", "Stop all", "Restart all"]),
        (["8000", "8001"], ["Stop all", "Restart all"]),
    ):
        found: Any = {"processes": {name: {"state": "running", "pid": 7} for name in running}}
        shown = verbs.for_program(many, found, may_operate=True, may_change=False)
        assert [button.label for button in shown] == expected


# Tiles


def test_tiles_show_all_instances_and_are_grouped_if_they_are_many() -> None:
    found: Any = {"processes": {"8000": {"state": "running", "pid": 7}, "8300": {"state": "fatal"}}}
    few = instances.grid(program(port_start=8000, port_end=8499), found, may_operate=True)
    assert few
    assert (few["span"], few["is_grouped"]) == ("8000–8499", False)
    assert few["summary"] == "1 running, 498 stopped, 1 fatal"
    assert few["groups"][0]["tiles"].count("<input") == 500
    assert 'aria-label="8300 fatal"' in few["groups"][0]["tiles"]
    many = instances.grid(program(port_start=8000, port_end=8999), found, may_operate=False)
    assert many
    assert [group["span"] for group in many["groups"]][:2] == ["8000–8099", "8100–8199"]
    assert many["groups"][3]["summary"] == "99 stopped, 1 fatal"
    assert "<input" not in many["groups"][0]["tiles"]
    assert len("".join(group["tiles"] for group in many["groups"])) < 130_000
    assert instances.grid(program(), found, may_operate=True) is None


def test_keys_are_written_as_ranges() -> None:
    keys = [Key(PORT, value) for value in (1, 2, 3, 5, 7, 8)]
    assert instances.span(keys) == "1–3, 5, 7–8"


# How runs end


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ({}, "exited with code 3"),
        ({"seconds": 0.04}, "exited with code 3 after 40 ms"),
        ({"seconds": 0.44}, "exited with code 3 after 0.4 s"),
        ({"seconds": 3723}, "exited with code 3 after 1 h 2 min"),
        ({"seconds": 2, "signal": "SIGKILL"}, "was ended by SIGKILL after 2.0 s"),
        ({"error": "command not found: x"}, "could not be run: command not found: x"),
    ],
)
def test_end_of_a_run_in_words(run: dict[str, Any], expected: str) -> None:
    assert runs.how_it_ended({**ENDED, **run}) == expected  # type: ignore[typeddict-item]
    shown = runs.last_run({"state": "exited", "last_run": {**ENDED, **run}})  # type: ignore[typeddict-item]
    assert text_of(shown).startswith(f"{expected}, ")


@pytest.mark.parametrize(
    ("process", "expected"),
    [
        ({"state": "exited", "last_run": ENDED}, "exited with code 3"),
        ({"state": "backoff", "last_run": ENDED}, "exited with code 3, and is to be started again"),
        (
            {"state": "starting", "last_run": ENDED, "restarts_since_stable": 2},
            "is restarted again and again: it exited with code 3",
        ),
        ({"state": "starting", "pid": 7}, "is starting: it counts as running once it has lived for 9 s"),
        ({"state": "starting"}, "is starting, after its delay of 5 s"),
        (
            {
                "state": "starting",
                "waiting_for": [{"program": "db", "condition": "ready", "state": "running"}],
            },
            "waits until “db” is ready (running)",
        ),
        ({"state": "running", "ready": False, "not_ready_because": "no"}, "runs, but is not ready: no"),
        ({"state": "stopping"}, "is still ending its last run"),
        ({"state": "stopped"}, "was stopped while it was starting"),
        ({"state": "unknown"}, None),
    ],
)
def test_why_a_start_has_not_succeeded(process: Any, expected: str | None) -> None:
    slow = program(start_seconds=9, delay_seconds=5, ready={"port": 80})
    assert explain(slow, process) == expected


def test_failing_start_shows_the_last_lines_of_that_run_only(
    api: Api, boss: AdminClient, tmp_path: Path
) -> None:
    flag = tmp_path / "flag"
    script = f"test -e {flag} || echo '<i>first' >&2; echo out; exit 3"
    id = api.add(shell(script), name="prints", autorestart="false")
    (said,) = messages_of(boss.press(id, "start"))
    assert re.fullmatch(
        r"“prints” exited with code 3 after \d.* m?s. The last lines of stderr: ?<i>first", said
    ), said
    flag.touch()
    os.utime(api.get(f"programs/{id}").json()["program"]["stderr_logfile"], (1, 1))
    (said,) = messages_of(boss.press(id, "start"))
    assert re.search(r"The last lines of stdout: ?out\sout$", said), said


def test_start_that_takes_long_is_not_called_a_failure(api: Api, boss: AdminClient) -> None:
    id = api.add(name="slow", start_seconds=60)
    said = messages_of(boss.press(id, "start"))
    assert said == ["“slow” is starting: it counts as running once it has lived for 60 s."]


# Truth


def test_verbs_that_have_nothing_to_do_say_so_and_stand_in_no_history(api: Api, boss: AdminClient) -> None:
    id = api.add(name="true", boot=True)
    started(api, id)
    assert messages_of(boss.press(id, "start")) == ["“true” runs already."]
    assert messages_of(boss.press(id, "enable")) == ["“true” is enabled already."]
    api.ok(f"programs/{id}/stop")
    assert messages_of(boss.press(id, "stop")) == ["“true” does not run."]
    many = api.add("sh -c 'exec sleep 1000'", name="many", port_range={"start": 21500, "end": 21503})
    assert messages_of(boss.press(many, "restart")) == ["“many” does not run."]
    assert messages_of(boss.press(many, "stop")) == ["“many”: 4 did not run."]
    started(api, many, 21501)
    assert messages_of(boss.press(many, "start", "21501")) == ["“many”, port 21501 runs already."]
    for each in (id, many):
        page = text_of(boss.page(f"{PROGRAMS}{each}/history/"))
        assert not re.search("Started|Stopped|Restarted|Enabled", page), page


def test_selected_instances_get_one_message_and_one_entry_of_the_history(api: Api, boss: AdminClient) -> None:
    script = 'test "$PORT" = 21602 && exit 5; exec sleep 1000'
    ports = {"start": 21600, "end": 21609}
    id = api.add(shell(script), name="some", port_range=ports, start_retries=0)
    started(api, id, 21600)

    def press(verb: str, *keys: int | str) -> list[str]:
        data = {verb: "selected", "key": list(keys)}
        return messages_of(boss.post(f"{PROGRAMS}{id}/operate/", data, follow=True))

    (said,) = press("start", 21600, 21601, 21602, 21604)
    assert re.fullmatch(
        r"“some”: 2 started, 1 ran already, 1 not started \(21602 exited with code 5 after \d.* m?s\)\.", said
    ), said
    assert press("restart", 21600, 21601) == ["“some”: 2 restarted."]
    assert press("stop", 21600, 21601, 21609) == ["“some”: 2 stopped, 1 did not run."]
    assert press("stop", 21600, 21601) == ["“some”: 2 did not run."]
    assert press("stop") == ["“some”: No instance is selected"]
    assert press("stop", "x") == ["“some”: The port must be a number"]
    assert press("stop", 99) == ["“some”: Port 99 is outside valid range [21600-21609]"]
    assert messages_of(boss.press(id, "stop")) == ["“some”: 1 stopped, 9 did not run."]
    (said,) = messages_of(boss.press(id, "start"))
    assert said.startswith("“some”: 9 started, 1 not started (21602 exited with code 5 after ")
    assert messages_of(boss.press(id, "restart")) == ["“some”: 9 restarted."]
    assert press("disable", 21600) == ["“some”: This can't be done to selected instances"]
    history = text_of(boss.page(f"{PROGRAMS}{id}/history/"))
    assert history.count("Started: ports 21601, 21604.") == 1
    assert "Restarted: ports 21600–21601." in history
    assert history.count("Stopped: ports 21600–21601.") == 1
    running = api.get(f"status/{id}").json()["instances"]
    assert sum(each["status"] == "running" for each in running) == 9


def test_starts_that_go_on_are_no_failures(api: Api, boss: AdminClient) -> None:
    ports = {"start": 21650, "end": 21651}
    id = api.add("sh -c 'exec sleep 1000'", name="long", port_range=ports, start_seconds=60)
    assert messages_of(boss.press(id, "start")) == ["“long”: 2 still starting."]
    assert "Started: ports 21650–21651." in text_of(boss.page(f"{PROGRAMS}{id}/history/"))


# The configuration as it runs


def test_page_says_what_takes_effect_at_the_next_start_only(
    api: Api, boss: AdminClient, tmp_path: Path
) -> None:
    file = tmp_path / "variables"
    file.write_text("A=1\n")
    id = api.add(boot=True, env_file=str(file))
    pid = started(api, id)
    page = f"{PROGRAMS}{id}/change/"
    assert "since it was started" not in live_of(boss.page(page))
    api.ok(f"programs/edit/{id}", {"before_start": ["true"], "delay_seconds": 1, "restart_limit": 9})
    assert api.pid(id) == pid
    note = "Changed since it was started, and in use from its next start on: before_start, delay_seconds."
    assert note in live_of(boss.page(page))
    api.ok(f"programs/edit/{id}", {"before_start": [], "delay_seconds": 0})
    assert "Changed since" not in live_of(boss.page(page))
    os.utime(file, (time.time() + 5, time.time() + 5))
    assert f"The file of variables {file} has changed since it was started" in live_of(boss.page(page))


def test_page_says_that_supervisord_runs_another_configuration(
    stack: Stack, api: Api, boss: AdminClient
) -> None:
    id = api.add(name="apart", boot=True)
    started(api, id)
    change = f"from daemon_programs.models import Program; Program.objects.filter(pk={id}).update(nice=5)"
    done = stack.manage("shell", "--no-imports", "-c", change)
    assert done.returncode == 0, done.stderr
    assert "supervisord has another configuration" in live_of(boss.page(f"{PROGRAMS}{id}/change/"))


# The fragments


def test_fragments_need_the_permission_to_view_and_a_program(
    stack: Stack, api: Api, boss: AdminClient
) -> None:
    id = api.add("sh -c 'exec sleep 1000'", port_range={"start": 21700, "end": 21700})
    started(api, id, 21700)
    for name, shown in (("live", "21700"), ("processes", "sleep 1000"), ("instances", "21700")):
        path = f"{PROGRAMS}{id}/{name}/"
        assert AdminClient(stack, "blind").get(path).status_code == 403
        seen = AdminClient(stack, "viewer").page(path)
        assert shown in seen
        assert "<button" not in re.sub("<button[^>]*>Show log", "", seen)
        anonymous = stack.client(None).session.get(f"{stack.url}/admin/{path}", allow_redirects=False)
        assert anonymous.status_code == 302
        assert "This program was removed" in boss.page(f"{PROGRAMS}999999/{name}/")


def test_fragment_is_what_the_page_shows_with_the_new_title(api: Api, boss: AdminClient) -> None:
    id = api.add(name="<b>&", boot=True)
    api.until(id, "running")
    fragment = boss.page(f"{PROGRAMS}{id}/live/")
    assert re.search(r'<template data-title="● running · &lt;b&gt;&amp; \| Daemon API">', fragment)
    page = boss.page(f"{PROGRAMS}{id}/change/")
    assert "<title>● running · &lt;b&gt;&amp; | Daemon API</title>" in re.sub(r"\s*\n\s*", "", page)
    assert "pre" not in re.findall(r"<(\w+)", fragment)  # the logs are kept as they are


def test_processes_are_told_as_long_as_any_is_there(api: Api, boss: AdminClient) -> None:
    id = api.add(shell("sleep 4713 & sleep 4714; :"), boot=True)
    eventually(lambda: boss.page(f"{PROGRAMS}{id}/processes/").count("<tr") == 4)
    api.ok(f"programs/{id}/stop")
    assert "Nothing runs." in boss.page(f"{PROGRAMS}{id}/processes/")
