"""``before_start``: commands that are run before each start, as a part of it."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.processes import carriers, python, shell, started
from tests.stack import OWN_USER, Api, Stack, eventually
from tests.temporary_programs import Quick

SLEEPS = shell("exec sleep 1000")
# It leaves a process in a session of its own.
LEAVES = shell("setsid sleep 1001 & echo left")
STUBBORN = shell("trap '' TERM; setsid sleep 1002 & while :; do sleep 0.1; done")


def lines_of(stack: Stack, id: int) -> set[str]:
    """The command lines of a program's processes."""
    return {" ".join(process.cmdline()) for process in carriers(stack, f"program-{id}")}


def pipes(stack: Stack) -> int:
    """Return how many ends of pipes supervisord has open."""
    folder = Path(f"/proc/{stack.supervisord_pid}/fd")
    return sum(str(entry.readlink()).startswith("pipe:") for entry in folder.iterdir())


def test_commands_run_in_order_and_then_the_program(api: Api, tmp_path: Path) -> None:
    id = api.add(
        shell("echo program; exec sleep 1000"),
        directory=str(tmp_path),
        environment={"WHO": "step"},
        before_start=[
            shell("echo first $(pwd) $WHO; echo problem >&2; sleep 0.3; echo first done"),
            {"command": shell("echo second $(id -un) $HOME"), "timeout": 5},
        ],
    )
    api.ok(f"programs/{id}/start", {"wait": True})
    home = Path.home() if OWN_USER == "root" else Path(f"~{OWN_USER}").expanduser()
    expected = f"first {tmp_path} step\nfirst done\nsecond {OWN_USER} {home}\nprogram"
    eventually(lambda: api.logs(id) == expected)
    assert api.logs(id, type="stderr") == "problem"
    assert api.word(id) == "running"


def test_they_run_before_each_start(api: Api, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    id = api.add(before_start=[shell("echo ran >> $1", str(runs))])
    api.ok(f"programs/{id}/start", {"wait": True})
    pid = api.pid(id)
    api.ok(f"programs/{id}/restart", {"wait": True})
    assert api.pid(id) not in (None, pid)
    assert runs.read_text() == "ran\nran\n"


def test_program_is_starting_meanwhile(api: Api) -> None:
    id = api.add(before_start=[SLEEPS], stdin="pipe")
    api.ok(f"programs/{id}/start")
    eventually(lambda: api.status(id)["status"] == {"id": id, "status": "starting"})
    time.sleep(1.5)  # longer than what makes a program `running`
    assert api.status(id)["status"] == {"id": id, "status": "starting"}
    assert api.refused(f"programs/{id}/input", {"text": "x"}) == f"Program with ID {id} is not running"
    assert api.ok(f"programs/{id}/start", {"if_not_running": True})["already_running"] is True


def test_failing_command_fails_the_start_like_a_quick_end(api: Api, tmp_path: Path, stack: Stack) -> None:
    runs = tmp_path / "runs"
    before = pipes(stack)
    id = api.add(
        shell("echo program >> $1", str(runs)),
        before_start=["true", shell("echo tried >> $1; exit 3", str(runs)), "true"],
    )
    sentence = "command 2 of before_start (sh) ended with exit code 3"
    api.ok(f"programs/{id}/start")
    api.until(id, "backoff")
    assert api.status(id)["last_run"]["error"] == sentence
    assert api.refused(f"programs/{id}/start", {"wait": True}) == (
        f"Program with ID {id} did not start: {sentence}"
    )
    assert api.word(id) == "fatal"
    assert api.status(id)["last_run"] == {
        **api.status(id)["last_run"],
        "exit_code": None,
        "signal": None,
        "error": sentence,
    }
    assert set(runs.read_text().split()) == {"tried"}
    assert runs.read_text().count("tried") == 5
    eventually(lambda: pipes(stack) == before)


def test_without_autorestart_nothing_is_tried_again(api: Api) -> None:
    id = api.add(before_start=[shell("kill -KILL $$")], autorestart="false")
    assert api.refused(f"programs/{id}/start", {"wait": True}) == (
        f"Program with ID {id} did not start: command 1 of before_start (sh) was ended by SIGKILL"
    )
    assert api.word(id) == "fatal"


def test_command_that_can_not_be_run_is_fatal_at_once(api: Api) -> None:
    id = api.add(before_start=["no-such-command x"])
    sentence = "command 1 of before_start (no-such-command) can't be run: command not found: no-such-command"
    assert api.refused(f"programs/{id}/start") == f"Program with ID {id} can't be started: {sentence}"
    assert api.status(id)["problem"] == "command not found: no-such-command"
    api.ok(f"programs/edit/{id}", {"before_start": ["true", "no-such-command x"]})
    assert api.refused(f"programs/{id}/start", {"wait": True}) == (
        f"Program with ID {id} did not start: {sentence.replace('1', '2')}"
    )
    assert api.word(id) == "fatal"


def test_program_that_is_missing_after_its_commands_is_fatal(api: Api) -> None:
    id = api.add("no-such-program", before_start=[LEAVES])
    assert api.refused(f"programs/{id}/start", {"wait": True}) == (
        f"Program with ID {id} did not start: command not found: no-such-program"
    )


def test_commands_may_make_the_program(api: Api, tmp_path: Path) -> None:
    file = tmp_path / "made"
    make = "printf '#!/bin/sh\\nexec sleep 1000\\n' > $1; chmod +x $1"
    id = api.add(str(file), before_start=[shell(make, str(file))])
    assert "problem" not in api.status(id)
    api.ok(f"programs/{id}/start", {"wait": True})
    assert api.word(id) == "running"


def test_command_that_takes_too_long_is_ended_with_all_it_has_started(api: Api, stack: Stack) -> None:
    id = api.add(
        before_start=[{"command": STUBBORN, "timeout": 1}], autorestart="false", stop_grace_seconds=1
    )
    begun = time.monotonic()
    assert api.refused(f"programs/{id}/start", {"wait": True}) == (
        f"Program with ID {id} did not start: command 1 of before_start (sh) did not end within 1 seconds"
    )
    assert 1.9 < time.monotonic() - begun < 8
    eventually(lambda: lines_of(stack, id) == set())
    assert api.word(id) == "fatal"


def test_stop_ends_the_command_under_way(api: Api, stack: Stack) -> None:
    id = api.add(before_start=[STUBBORN], stop_grace_seconds=1)
    api.ok(f"programs/{id}/start")
    eventually(lambda: "sleep 1002" in lines_of(stack, id))
    api.ok(f"programs/{id}/stop")
    assert api.word(id) == "stopped"
    assert lines_of(stack, id) == set()
    time.sleep(1.5)
    assert api.word(id) == "stopped"


def test_restart_begins_with_the_first_command_again(api: Api, tmp_path: Path) -> None:
    file = tmp_path / "runs"
    id = api.add(
        before_start=[shell("echo one >> $1", str(file)), shell("echo two >> $1; sleep 2", str(file))]
    )
    api.ok(f"programs/{id}/start")
    eventually(lambda: file.exists() and file.read_text() == "one\ntwo\n")
    api.ok(f"programs/{id}/restart", {"wait": True})
    assert file.read_text() == "one\ntwo\none\ntwo\n"


def test_what_a_command_leaves_behind_belongs_to_the_program(api: Api, stack: Stack) -> None:
    id = api.add("sleep 1003", before_start=[LEAVES])
    api.ok(f"programs/{id}/start", {"wait": True})
    eventually(lambda: lines_of(stack, id) == {"sleep 1001", "sleep 1003"})
    api.ok(f"programs/{id}/stop")
    assert lines_of(stack, id) == set()


def test_what_a_failing_command_leaves_behind_is_ended(api: Api, stack: Stack) -> None:
    id = api.add(before_start=[LEAVES, "false"], autorestart="false")
    api.ok(f"programs/{id}/start")
    api.until(id, "fatal")
    eventually(lambda: lines_of(stack, id) == set())
    api.ok(f"programs/edit/{id}", {"before_start": [LEAVES]})
    api.ok(f"programs/{id}/start", {"wait": True})


def test_each_instance_of_a_port_range_has_its_own(api: Api) -> None:
    id = api.add(
        shell("exec sleep 1000", "{port}"),
        port_range={"start": 64_030, "end": 64_031},
        before_start=[shell("echo before $1 $PORT", "{port}")],
    )
    api.ok(f"programs/{id}/start", {"all": True, "wait": True})
    for port in (64_030, 64_031):
        eventually(lambda port=port: api.logs(id, port=port) == f"before {port} {port}")


def test_commands_read_the_end_of_file_and_the_program_its_pipe(api: Api) -> None:
    id = api.add("cat", stdin="pipe", before_start=["cat", shell("readlink /proc/self/fd/0")])
    api.ok(f"programs/{id}/start", {"wait": True})
    api.ok(f"programs/{id}/input", {"text": "for the program\n"})
    eventually(lambda: api.logs(id) == "/dev/null\nfor the program")


def test_commands_of_a_terminal_print_to_its_log(api: Api) -> None:
    id = api.add(
        shell("tty; sleep 1000"),
        terminal_id=21_502,
        terminal_shell="sh",
        before_start=[shell("echo before; tty; exit 0")],
    )
    api.ok(f"programs/{id}/start", {"wait": True})
    eventually(lambda: api.logs(id).startswith("before\nnot a tty\n/dev/pts/"))


def test_change_applies_to_the_next_start(api: Api) -> None:
    id = api.add()
    pid = started(api, id)
    program = api.ok(f"programs/edit/{id}", {"before_start": ["false"]})["program"]
    assert program["before_start"] == ["false"]
    assert api.pid(id) == pid
    assert "before_start" not in api.ok(f"programs/edit/{id}", {"before_start": None})["program"]


def test_temporary_program_has_them_too(quick: Quick) -> None:
    answer = quick.launch("echo program", before_start=["echo before"], wait="exit")
    assert (answer["status"], answer["stdout"]) == ("exited", "before\nprogram")
    answer = quick.launch("echo program", before_start=["false"], autorestart="false", wait="exit")
    assert (answer["status"], answer["stdout"]) == ("fatal", "")
    assert answer["last_run"]["error"] == "command 1 of before_start (false) ended with exit code 1"


def test_temporary_program_is_stopped_before_it_has_begun(quick: Quick) -> None:
    id = quick.run(before_start=[SLEEPS])
    quick.until(id, "starting")
    quick.stop(id)
    assert quick.status(id)["status"] == "stopped"
    eventually(lambda: quick.is_cleaned_up(id))


def test_command_does_not_outlive_a_killed_supervisord(own_stack: Stack) -> None:
    own_stack.start()
    id = own_stack.api.add(before_start=["sleep 1004"])
    own_stack.api.ok(f"programs/{id}/start")
    eventually(lambda: "sleep 1004" in lines_of(own_stack, id))
    own_stack.kill_supervisord()
    own_stack.start()
    assert lines_of(own_stack, id) == set()
    assert own_stack.api.word(id) == "stopped"


SHAPE = "Field 'before_start' must have strings or objects with command and timeout: number {} is none"
SECONDS = "Field 'before_start' must have timeouts between 1 and 3600 seconds"
REFUSED: dict[str, tuple[Any, str]] = {
    "text": ("true", "Field 'before_start' must be a list of commands"),
    "object": ({}, "Field 'before_start' must be a list of commands"),
    "blank": ("", "Field 'before_start' must be a list of commands"),
    "false": (False, "Field 'before_start' must be a list of commands"),
    "many": (["true"] * 17, "Field 'before_start' must have at most 16 commands"),
    "number": (["true", 5], SHAPE.format(2)),
    "null": ([None], SHAPE.format(1)),
    "list": ([["true"]], SHAPE.format(1)),
    "no command": ([{"timeout": 5}], SHAPE.format(1)),
    "unknown key": ([{"command": "true", "user": "root"}], SHAPE.format(1)),
    "no text": (
        [{"command": 5}],
        "Field 'before_start' must have commands that are strings: number 1 is none",
    ),
    "empty": ([" "], "Field 'before_start' must have commands that are not empty"),
    "quotes": (["''"], "Field 'before_start' must have commands that are not empty"),
    "open quote": (["echo '"], "Field 'before_start' can't be split into arguments: no closing quotation"),
    "line break": (["a\nb"], "Field 'before_start' must not contain line breaks or NUL characters"),
    "NUL": (["a\0"], "Field 'before_start' must not contain line breaks or NUL characters"),
    "surrogate": (["a \ud800"], "Field 'before_start' must have commands that are valid Unicode text"),
    "long": ([f"echo {'x' * 131_072}"], "Field 'before_start' has an argument that is longer than 128 KiB"),
    **{
        f"timeout {value!r}": ([{"command": "true", "timeout": value}], SECONDS)
        for value in (0, 3601, "5", 1.5, True, None)
    },
}


@pytest.mark.parametrize(("value", "sentence"), REFUSED.values(), ids=REFUSED)
def test_other_values_are_refused(api: Api, value: Any, sentence: str) -> None:
    body = {"name": "refused", "command": "true", "user": OWN_USER, "before_start": value}
    assert api.refused("programs/add", body) == sentence
    id = api.add()
    assert api.refused(f"programs/edit/{id}", {"before_start": value}) == sentence
    del body["name"]
    assert api.refused("quick-start", body) == sentence


def test_largest_values_are_kept(api: Api) -> None:
    value = [*["true"] * 15, {"command": "true", "timeout": 3600}]
    id = api.add(before_start=value)
    assert api.get(f"programs/{id}").json()["program"]["before_start"] == value
    assert api.ok(f"programs/edit/{id}", {"before_start": []})["program"].get("before_start") is None


def test_commands_are_not_in_the_logs_of_the_stack(api: Api, stack: Stack) -> None:
    id = api.add(before_start=[python("raise SystemExit(1)", "the-secret-argument")], autorestart="false")
    api.ok(f"programs/{id}/start")
    api.until(id, "fatal")
    assert "the-secret-argument" not in api.status(id)["last_run"]["error"]
    logs = [stack.output, *stack.folder.glob("*.log"), *(stack.folder / "logs").glob("*.log")]
    assert all("the-secret-argument" not in log.read_text(errors="replace") for log in logs)
