"""``stdin`` and ``input``: a pipe as standard input, and what writes it, without ever waiting."""

import json
import time
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import psutil
import pytest

from daemon_programs.supervisor.plugin.context import Context
from daemon_programs.supervisor.plugin.programs.configuration import read
from daemon_programs.supervisor.spec import Specification
from tests.processes import python, shell, started
from tests.stack import OWN_USER, Api, Stack, eventually
from tests.temporary_programs import Quick

MIB = 1024 * 1024
ECHO = python("import sys\nfor line in sys.stdin: print('got', line, end='', flush=True)")
# It reads nothing before the file is there.
WAITS = "while [ ! -e $1 ]; do sleep 0.05; done"
# It closes its standard input, and lives on.
DEAF = shell("exec <&-; echo deaf; exec sleep 1000")


def reading(api: Api, command: str = ECHO, **fields: Any) -> int:
    """Start a program with a pipe, and return its id."""
    id = api.add(command, stdin="pipe", **fields)
    started(api, id)
    return id


def write(api: Api, id: int, text: str, **fields: Any) -> None:
    assert api.ok(f"programs/{id}/input", {"text": text, **fields}) == {"success": True}


def fill(api: Api, id: int) -> int:
    """Write until no more is taken, and return how many bytes were."""
    written = 0
    while (answer := api.post(f"programs/{id}/input", {"text": "x" * 65_536})).status_code == 200:
        written += 65_536
        assert written <= MIB
    assert answer.status_code == 503
    assert answer.json() == {
        "success": False,
        "error": f"Program with ID {id} does not read its input: no more than 256 KiB can wait for it",
        "code": "input_full",
    }
    return written


def pipes(stack: Stack) -> int:
    """Return how many ends of pipes supervisord has open."""
    folder = Path(f"/proc/{stack.supervisord_pid}/fd")
    return sum(str(entry.readlink()).startswith("pipe:") for entry in folder.iterdir())


def test_lines_reach_the_program_in_order(api: Api) -> None:
    id = reading(api)
    write(api, id, "one\n")
    eventually(lambda: api.logs(id) == "got one")
    write(api, id, "two\nthr")
    write(api, id, "ee ü 日\n")
    eventually(lambda: api.logs(id) == "got one\ngot two\ngot three ü 日")
    api.until(id, "running")


def test_every_character_is_carried(api: Api) -> None:
    text = "".join(map(chr, range(128))) + "\x85\ufffe\U0001f600"
    id = reading(api, shell("od -An -v -tx1 | tr -d ' \\n'"))
    write(api, id, text, close=True)
    api.until(id, "exited")
    assert bytes.fromhex(api.logs(id)).decode() == text


def test_close_is_the_end_of_file(api: Api) -> None:
    id = reading(api, "cat")
    write(api, id, "all", close=True)
    assert api.until(id, "exited")["last_run"]["exit_code"] == 0
    assert api.logs(id) == "all"


def test_end_of_file_needs_no_text(api: Api) -> None:
    id = reading(api, "cat")
    api.until(id, "running")
    assert api.ok(f"programs/{id}/input", {"close": True}) == {"success": True}
    api.until(id, "exited")


def test_after_the_end_nothing_is_taken(api: Api) -> None:
    id = reading(api, shell("cat; exec sleep 1000"))
    write(api, id, "last\n", close=True)
    for body in ({"text": "more"}, {"close": True}):
        assert api.refused(f"programs/{id}/input", body) == (
            f"Program with ID {id} takes no more input: its standard input is closed"
        )
    assert api.logs(id) == "last"


def test_program_that_has_closed_its_input_takes_none(api: Api) -> None:
    id = reading(api, DEAF)
    eventually(lambda: api.logs(id) == "deaf")
    assert api.refused(f"programs/{id}/input", {"text": "x"}).endswith("its standard input is closed")
    api.until(id, "running")


def test_program_that_does_not_run_takes_none(api: Api) -> None:
    id = api.add(ECHO, stdin="pipe")
    sentence = f"Program with ID {id} is not running"
    assert api.refused(f"programs/{id}/input", {"text": "x"}) == sentence
    api.ok(f"programs/edit/{id}", {"delay_seconds": 60})
    api.ok(f"programs/{id}/start")
    assert api.refused(f"programs/{id}/input", {"text": "x"}) == sentence
    api.ok(f"programs/{id}/disable")
    assert api.refused(f"programs/{id}/input", {"text": "x"}) == sentence


def test_program_without_a_pipe_takes_none(api: Api) -> None:
    id = api.add()
    started(api, id)
    assert api.refused(f"programs/{id}/input", {"text": "x"}) == (
        f"Program with ID {id} can't be written to: its field 'stdin' is not 'pipe'"
    )


REFUSED = {
    "nothing": ({}, "Field 'text' is required, unless close is true"),
    "not closed": ({"close": False}, "Field 'text' is required, unless close is true"),
    "number": ({"text": 5}, "Field 'text' must be a string"),
    "null": ({"text": None}, "Field 'text' must be a string"),
    "close": ({"text": "x", "close": 1}, "Field 'close' must be true or false"),
    "surrogate": ({"text": "\ud800"}, "Field 'text' must be valid Unicode text"),
    "long": ({"text": "x" * 65_537}, "Field 'text' must have at most 64 KiB"),
    "long in UTF-8": ({"text": "ü" * 32_769}, "Field 'text' must have at most 64 KiB"),
    "unknown": ({"text": "x", "wait": True}, "Unknown field 'wait'"),
    "no range": ({"text": "x", "port": 8000}, "Program with ID {} has no port range"),
}


@pytest.mark.parametrize(("body", "sentence"), REFUSED.values(), ids=REFUSED)
def test_body_is_strict(api: Api, body: dict[str, Any], sentence: str) -> None:
    id = reading(api)
    assert api.refused(f"programs/{id}/input", body) == sentence.format(id)
    write(api, id, "after\n")
    eventually(lambda: api.logs(id) == "got after")


def test_largest_text_is_taken(api: Api) -> None:
    id = reading(api, shell("wc -c"))
    write(api, id, "ü" * 32_768, close=True)
    api.until(id, "exited")
    assert api.logs(id) == "65536"


def test_instance_of_a_port_range_is_chosen_by_its_port(api: Api) -> None:
    ports = {"start": 64_010, "end": 64_011}
    id = api.add(python("import sys\nprint(sys.argv[2], input())"), stdin="pipe", port_range=ports)
    api.ok(f"programs/{id}/start", {"all": True, "wait": True})
    assert api.refused(f"programs/{id}/input", {"text": "x"}).startswith("Port parameter required")
    write(api, id, "hello\n", port=64_011)
    eventually(lambda: api.logs(id, port=64_011) == "64011 hello")
    assert api.logs(id, port=64_010) == ""


def test_program_that_does_not_read_holds_up_nobody(api: Api, tmp_path: Path) -> None:
    """What was taken reaches it when it reads, all of it and in order; what was refused does not."""
    file = tmp_path / "read"
    size = len("begin\n") + 65_536 * 4
    reads = f"{WAITS}; head -c {size} | tee /dev/stderr | wc -c; exec sleep 1000"
    id = reading(api, shell(reads, str(file)))
    write(api, id, "begin\n")
    written = fill(api, id)
    assert 256 * 1024 <= written <= 384 * 1024
    begun = time.monotonic()
    other = api.add()
    started(api, other)
    assert time.monotonic() - begun < 5
    file.touch()
    eventually(lambda: api.logs(id) == str(size))
    assert api.logs(id, type="stderr").startswith("begin\nxxx")


def test_lost_reader_of_a_full_pipe_lets_supervisord_sleep(api: Api, stack: Stack, tmp_path: Path) -> None:
    """poll reports the error of the pipe at once, each time, which supervisord itself ignores."""
    file = tmp_path / "close"
    id = reading(api, shell(f"{WAITS}; exec <&-; echo deaf; exec sleep 1000", str(file)))
    fill(api, id)
    before = pipes(stack)
    file.touch()
    eventually(lambda: pipes(stack) == before - 1)
    eventually(lambda: api.logs(id) == "deaf")
    assert api.refused(f"programs/{id}/input", {"text": "x"}).endswith("its standard input is closed")
    supervisord = psutil.Process(stack.supervisord_pid)
    used = supervisord.cpu_times().user
    time.sleep(1)
    assert supervisord.cpu_times().user - used < 0.5


def test_restart_drops_what_was_not_read(api: Api) -> None:
    id = reading(api, shell("sleep 1; head -n 1; exec sleep 1000"))
    write(api, id, "for the first\n")
    api.ok(f"programs/{id}/restart", {"wait": True})
    write(api, id, "for the second\n")
    eventually(lambda: "second" in api.logs(id))
    assert api.logs(id) == "for the second"


def test_change_of_stdin_restarts_the_program(api: Api) -> None:
    id = api.add(shell("readlink /proc/self/fd/0; exec sleep 1000"))
    pid = started(api, id)
    eventually(lambda: api.logs(id) == "/dev/null")
    assert api.ok(f"programs/edit/{id}", {"stdin": "pipe"})["program"]["stdin"] == "pipe"
    eventually(lambda: "pipe:" in api.logs(id))
    assert api.pid(id) not in (None, pid)
    assert "stdin" not in api.ok(f"programs/edit/{id}", {"stdin": "null"})["program"]


def test_pipe_is_left_open_by_nobody(api: Api, stack: Stack) -> None:
    before = pipes(stack)
    id = reading(api, shell("cat; exec sleep 1000"))
    eventually(lambda: pipes(stack) == before + 4)  # the fourth tells of a failure to exec
    api.ok(f"programs/{id}/input", {"close": True})
    eventually(lambda: pipes(stack) == before + 3)
    api.ok(f"programs/{id}/restart", {"wait": True})
    eventually(lambda: pipes(stack) == before + 4)
    api.ok(f"programs/{id}/stop")
    eventually(lambda: pipes(stack) == before)


@pytest.mark.parametrize("value", ["", "PIPE", "pipe ", None, True, 0, ["pipe"]])
def test_other_values_of_stdin_are_refused(api: Api, value: Any) -> None:
    sentence = "Field 'stdin' must be one of: null, pipe"
    body = {"name": "refused", "command": "cat", "user": OWN_USER, "stdin": value}
    assert api.refused("programs/add", body) == sentence
    assert api.refused(f"programs/edit/{api.add()}", {"stdin": value}) == sentence


def test_stdin_is_not_for_terminals(api: Api) -> None:
    sentence = "Field 'stdin' can't be combined with terminal_id"
    body = {"name": "refused", "command": "cat", "user": OWN_USER, "stdin": "pipe", "terminal_id": 21_501}
    assert api.refused("programs/add", body) == sentence
    id = api.add("cat", stdin="pipe")
    assert api.refused(f"programs/edit/{id}", {"terminal_id": 21_501}) == sentence
    assert api.refused("quick-start", {key: body[key] for key in body if key != "name"}) == sentence


def test_temporary_program_is_written_to(quick: Quick) -> None:
    id = quick.run(shell("read line; echo $line; exec cat"), stdin="pipe")
    quick.pid(id)
    quick.api.ok(f"quick-start/{id}/input", {"text": "one\ntwo\n"})
    eventually(lambda: quick.logs(id) == "one\ntwo")
    quick.until(id, "running")
    quick.api.ok(f"quick-start/{id}/input", {"text": "three", "close": True})
    assert quick.until(id, "exited")["last_run"]["exit_code"] == 0
    assert quick.logs(id) == "one\ntwo\nthree"
    sentence = f"Ephemeral program {id} is not running"
    assert quick.api.refused(f"quick-start/{id}/input", {"text": "x"}) == sentence


def test_temporary_program_has_rules_of_its_own(quick: Quick) -> None:
    id = quick.run()
    quick.pid(id)
    route = f"quick-start/{id}/input"
    assert quick.api.refused(route, {"text": "x"}) == (
        f"Ephemeral program {id} can't be written to: its field 'stdin' is not 'pipe'"
    )
    assert quick.api.refused(route, {"text": "x", "port": 1}) == "Unknown field 'port'"
    assert quick.api.refused(route, {}) == "Field 'text' is required, unless close is true"
    unknown = quick.api.refused("quick-start/quick_1/input", {"port": 1}, 404)
    assert unknown == "Ephemeral program with ID quick_1 not found"


def test_input_needs_the_permission_to_operate(stack: Stack, quick: Quick) -> None:
    id = quick.run("cat", stdin="pipe")
    assert stack.client(None).post(f"quick-start/{id}/input", {"text": "x"}).status_code == 401


def test_file_of_an_older_version_has_no_pipe(tmp_path: Path) -> None:
    old = {"group": "program-1", "name": "p", "argv": ["true"], "user": "root"}
    file = tmp_path / "program-1.json"
    file.write_text(json.dumps(old))
    config = read(Context(*[None] * len(fields(Context))), file, lambda config: None)  # type: ignore[arg-type]
    assert config.spec == asdict(Specification(**old))
    (process,) = config.process_configs
    assert not process.takes_input
