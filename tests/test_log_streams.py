"""``GET programs/{id}/logs/stream`` and ``GET quick-start/{id}/logs/stream``: logs as they are written."""

import os
import select
import signal
from pathlib import Path

import pytest

from tests.processes import LONG_RUNNING, python, shell, started
from tests.stack import Api, Stack, eventually
from tests.stream_client import StreamClient, follow
from tests.temporary_programs import Quick

# It prints numbered lines as fast as it can, in chunks of any size, for as long as the test wants.
COUNTS = """
import sys, time
from pathlib import Path
stop, number, text = Path(sys.argv[1]), 0, b""
while not stop.exists():
    for _ in range(97):
        number += 1
        text += b"%d %s\\n" % (number, b"x" * (number % 50))
    half = len(text) // 2
    sys.stdout.buffer.write(text[:half])
    sys.stdout.buffer.flush()
    text = text[half:]
    time.sleep(float(sys.argv[2]))
sys.stdout.buffer.write(text + b"END\\n")
sys.stdout.buffer.flush()
time.sleep(1000)
"""


def test_last_lines_come_first_and_then_what_is_written(api: Api, stack: Stack, tmp_path: Path) -> None:
    log = tmp_path / "out.log"
    log.write_text("".join(f"{number}\n" for number in range(500)))
    id = api.add(stdout_logfile=str(log))
    with follow(stack, id) as listener:
        opened = listener.event()
        assert (opened.name, opened.data) == (
            "open",
            {"log_file": str(log), "type": "stdout", "offset": 1490, "exists": True},
        )
        assert listener.lines(100) == [str(number) for number in range(400, 500)]
        with log.open("a") as file:
            file.write("next\n")
        received = listener.event()
        assert (received.name, received.data) == ("line", {"line": "next", "offset": 1895})


def test_answer_is_one_that_nothing_in_between_holds_back(api: Api, stack: Stack) -> None:
    with follow(stack, api.add()) as listener:
        assert listener.status == 200
        assert listener.headers["content-type"] == "text/event-stream"
        assert listener.headers["cache-control"] == "no-cache"
        assert listener.headers["x-accel-buffering"] == "no"
        assert listener.headers["connection"] == "close"
        assert "content-length" not in listener.headers
        assert "transfer-encoding" not in listener.headers


@pytest.mark.parametrize("accept", ["text/event-stream", "*/*", "text/html,*/*;q=0.8", "image/png"])
def test_every_client_gets_the_stream(api: Api, stack: Stack, accept: str) -> None:
    with follow(stack, api.add(), headers={"Accept": accept}) as listener:
        assert listener.headers["content-type"] == "text/event-stream"
        assert listener.event().name == "open"


def test_stderr_is_followed_when_it_is_asked_for(api: Api, stack: Stack) -> None:
    id = api.add(shell("echo out; echo err >&2; exec sleep 1000"), boot=True)
    with follow(stack, id, type="stderr") as listener:
        assert listener.line() == "err"
    with follow(stack, id) as listener:
        assert listener.line() == "out"


def test_log_appears_when_the_program_is_started(api: Api, stack: Stack, tmp_path: Path) -> None:
    log = tmp_path / "made" / "later" / "out.log"
    id = api.add(shell("echo first; exec sleep 1000"), stdout_logfile=str(log))
    with follow(stack, id) as listener:
        assert listener.event().data["exists"] is False
        api.ok(f"programs/{id}/start")
        received = listener.event()
        assert (received.name, received.data["exists"], received.data["offset"]) == ("open", True, 0)
        assert listener.line() == "first"


def test_instance_of_a_port_range_is_chosen_by_its_port(api: Api, stack: Stack) -> None:
    id = api.add(shell('echo "$@"; exec sleep 1000'), port_range={"start": 24100, "end": 24102})
    refused = follow(stack, id)
    assert (refused.status, refused.body()["error"]) == (
        400,
        "Port parameter required for port-range programs. Available range: 24100-24102",
    )
    with follow(stack, id, port=24101) as listener:
        assert listener.event().data["log_file"].endswith("stdout_24101.log")
        api.ok(f"programs/{id}/start", {"all": True})
        assert listener.line() == "--port 24101"


def test_bytes_that_are_no_utf_8_are_replaced(api: Api, stack: Stack) -> None:
    code = (
        "import os, time; os.write(1, b'\\xff caf\\xc3\\xa9 \\x00 \\xe2\\x80\\xa8 \\r\\n'); time.sleep(1000)"
    )
    id = api.add(python(code), boot=True)
    with follow(stack, id) as listener:
        assert listener.line() == "\ufffd café \x00 \u2028 "


def test_unfinished_line_waits_for_its_end(api: Api, stack: Stack, tmp_path: Path) -> None:
    log = tmp_path / "out.log"
    log.write_bytes(b"whole\nhal")
    with follow(stack, api.add(stdout_logfile=str(log)), lines=0) as listener:
        assert listener.event().data["offset"] == 6
        with log.open("ab") as file:
            file.write(b"f\n")
        assert listener.line() == "half"


def test_emptied_log_is_read_from_the_start(api: Api, stack: Stack, tmp_path: Path) -> None:
    log = tmp_path / "out.log"
    log.write_text("one\ntwo\n")
    with follow(stack, api.add(stdout_logfile=str(log))) as listener:
        assert listener.lines(2) == ["one", "two"]
        os.truncate(log, 0)
        received = listener.event()
        assert (received.name, received.data) == (
            "reset",
            {"reason": "truncated", "offset": 0, "missed": True},
        )
        with log.open("a") as file:
            file.write("three\n")
        assert listener.line() == "three"


def test_each_number_comes_once_and_in_order_however_often_the_client_is_killed(
    api: Api, stack: Stack, tmp_path: Path
) -> None:
    stop = tmp_path / "stop"
    # Enough backups for the time that a client is away: removed lines can't be sent.
    id = api.add(python(COUNTS, str(stop), "0.02"), log_max_bytes=8000, log_backups=100)
    started(api, id)
    listener = follow(stack, id, lines=0)
    had: list[str] = []
    rotations = 0
    for turn in range(51):
        if turn == 50:
            stop.touch()
        wanted = len(had) + 150
        while len(had) < wanted or turn == 50:
            received = listener.event()
            if received.name == "line":
                had.append(received.data["line"])
            if received.name == "reset":
                rotations += 1
                assert received.data["missed"] is False
            if had and had[-1] == "END":
                break
        listener.close()
        if had[-1] == "END":
            break
        listener = follow(stack, id, after=listener.last_id)
    numbers = [int(line.split()[0]) for line in had[:-1]]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert had[:-1] == [f"{number} {'x' * (number % 50)}" for number in numbers]
    assert had[-1] == "END"
    assert rotations > 20


@pytest.mark.parametrize("backups", [0, 1])
def test_client_that_keeps_up_misses_nothing_however_few_backups_there_are(
    api: Api, stack: Stack, tmp_path: Path, backups: int
) -> None:
    stop = tmp_path / "stop"
    id = api.add(python(COUNTS, str(stop), "0.001"), log_max_bytes=4000, log_backups=backups)
    with follow(stack, id) as listener:
        api.ok(f"programs/{id}/start")
        had = listener.lines(5000, 30)
        stop.touch()
        rest = listener.rest(30)
        for received in rest:
            if received.name == "reset":
                assert received.data == {"reason": "rotated", "offset": 0, "missed": False}
            if received.name == "line":
                had.append(received.data["line"])
                if had[-1] == "END":
                    break
    assert [int(line.split()[0]) for line in had[:-1]] == list(range(1, len(had)))


def test_cursor_may_come_in_the_query_and_the_header_wins(api: Api, stack: Stack, tmp_path: Path) -> None:
    log = tmp_path / "out.log"
    log.write_text("one\ntwo\nthree\n")
    id = api.add(stdout_logfile=str(log))
    with follow(stack, id) as listener:
        places = [listener.until("line").id for _ in range(3)]
    with follow(stack, id, last_event_id=places[0]) as listener:
        assert listener.lines(2) == ["two", "three"]
    with follow(stack, id, last_event_id=places[0], after=places[1]) as listener:
        assert listener.line() == "three"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"lines": "-1"}, "lines"),
        ({"lines": "10001"}, "lines"),
        ({"lines": ""}, "lines"),
        ({"type": "stdin"}, "type"),
        ({"port": "x"}, "port"),
        ({"last_event_id": "x"}, "last_event_id"),
        ({"last_event_id": ""}, "last_event_id"),
    ],
)
def test_wrong_query_is_refused(api: Api, query: dict[str, str], field: str) -> None:
    answer = api.get(f"programs/{api.add()}/logs/stream", **query)
    assert answer.status_code == 400
    assert field in answer.json()["error"]
    assert list(answer.json()["errors"]) == [field]


def test_wrong_header_is_refused(api: Api, stack: Stack) -> None:
    refused = follow(stack, api.add(), after="nonsense")
    assert refused.status == 400
    assert refused.body()["error"] == "Header 'Last-Event-ID' must be the id of an event of this stream"


def test_wrong_query_is_refused_also_with_a_header(api: Api, stack: Stack) -> None:
    refused = follow(stack, api.add(), after="0-0-0-0", last_event_id="nonsense")
    assert refused.status == 400
    assert refused.body()["error"] == (
        "Query parameter 'last_event_id' must be the id of an event of this stream"
    )


def test_errors_are_ordinary_answers(api: Api, stack: Stack) -> None:
    assert api.get("programs/999/logs/stream").json()["error"] == "Program with ID 999 not found"
    assert api.get("quick-start/quick_1/logs/stream").status_code == 404
    id = api.add()
    assert api.post(f"programs/{id}/logs/stream").status_code == 405
    assert api.session.head(f"{api.base}/programs/{id}/logs/stream").status_code == 200  # and opens none
    anonymous = stack.client(None).get(f"programs/{id}/logs/stream")
    assert (anonymous.status_code, anonymous.json()["success"]) == (401, False)
    assert api.get(f"programs/{id}").status_code == 200  # on the same connection as before


def test_log_that_can_not_be_read_is_an_event(api: Api, stack: Stack, tmp_path: Path) -> None:
    log = tmp_path / "out.log"
    id = api.add(stdout_logfile=str(log))
    log.symlink_to(log)
    with follow(stack, id) as listener:
        received = listener.until("error")
        assert "symbolic links" in received.data["error"]
        log.unlink()
        log.write_text("now\n")
        assert listener.line() == "now"


def test_fifo_is_followed_without_lines_and_left_to_its_readers(
    api: Api, stack: Stack, tmp_path: Path
) -> None:
    fifo = tmp_path / "out.log"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    id = api.add(shell("while :; do echo x; sleep 0.1; done"), stdout_logfile=str(fifo))
    with follow(stack, id) as listener:
        assert listener.event().data["exists"] is True
        api.ok(f"programs/{id}/start")
        for _ in range(5):
            assert select.select([reader], [], [], 15)[0]
            assert set(os.read(reader, 100)) == set(b"x\n")
        with pytest.raises(TimeoutError):
            listener.event(0.1)
    os.close(reader)


def test_removed_program_ends_its_streams(api: Api, stack: Stack) -> None:
    id = api.add(shell("echo last; exec sleep 1000"), boot=True)
    with follow(stack, id) as listener:
        assert listener.line() == "last"
        api.ok(f"programs/remove/{id}")
        received = listener.event(5)
        assert (received.name, received.data) == ("end", {"reason": "removed"})
        assert listener.is_ended()


def test_program_whose_log_is_elsewhere_now_ends_its_streams(api: Api, stack: Stack, tmp_path: Path) -> None:
    id = api.add(LONG_RUNNING, stdout_logfile=str(tmp_path / "one.log"))
    with follow(stack, id) as listener:
        listener.event()
        api.ok(f"programs/edit/{id}", {"description": "nothing that matters"})
        api.ok(f"programs/edit/{id}", {"stdout_logfile": str(tmp_path / "two.log")})
        received = listener.event(5)
        assert (received.name, received.data) == ("end", {"reason": "changed"})
        assert listener.is_ended()


# Temporary programs


def test_temporary_program_is_followed_to_its_end(quick: Quick, stack: Stack) -> None:
    id = quick.run(shell("for i in 1 2 3; do echo $i; sleep 0.1; done; printf 'no end'"))
    with StreamClient(stack, f"quick-start/{id}/logs/stream") as listener:
        received = [each for each in listener.rest() if each.name != "open"]
    assert [each.data["line"] for each in received[:-1]] == ["1", "2", "3", "no end"]
    assert (received[-1].name, received[-1].data) == ("end", {"status": "exited"})


def test_stream_of_an_ended_temporary_program_sends_its_last_lines_and_ends(
    quick: Quick, stack: Stack
) -> None:
    id = quick.launch(shell("seq 10; exit 3"), wait="exit")["temporary_id"]
    with StreamClient(stack, f"quick-start/{id}/logs/stream", lines=2) as listener:
        received = [(each.name, each.data.get("line")) for each in listener.rest()]
    assert received == [("open", None), ("line", "9"), ("line", "10"), ("end", None)]


def test_temporary_program_that_is_stopped_ends_its_streams(quick: Quick, stack: Stack) -> None:
    id = quick.run()
    with StreamClient(stack, f"quick-start/{id}/logs/stream") as listener:
        quick.stop(id)
        assert listener.until("end").data == {"status": "stopped"}
        assert listener.is_ended()


def test_client_that_lost_its_connection_hears_the_end_of_a_temporary_program(
    quick: Quick, stack: Stack
) -> None:
    id = quick.run(shell("seq 3; sleep 1000"))
    route = f"quick-start/{id}/logs/stream"
    with StreamClient(stack, route) as listener:
        assert listener.line() == "1"
        place = listener.last_id
    quick.stop(id)
    with StreamClient(stack, route, after=place) as listener:
        assert [each.data.get("line") for each in listener.rest()][1:] == ["2", "3", None]


def test_killed_api_loses_nothing_of_a_log(own_stack: Stack, tmp_path: Path) -> None:
    stack = own_stack.start()
    stop = tmp_path / "stop"
    id = stack.api.add(python(COUNTS, str(stop), "0.05"), log_max_bytes=80_000, log_backups=100)
    listener = follow(stack, id)
    stack.api.ok(f"programs/{id}/start")
    had = listener.lines(1000)
    os.kill(int(stack.api.get("health").json()["pid"]), signal.SIGKILL)
    had += [received.data["line"] for received in listener.rest() if received.name == "line"]
    eventually(stack._is_up, 30)
    with follow(stack, id, after=listener.last_id) as again:
        had += again.lines(1000)
    assert [int(line.split()[0]) for line in had] == list(range(1, len(had) + 1))


# Files that others touch

CLOCK = python(
    "import itertools, time\nfor number in itertools.count(): print(number, flush=True); time.sleep(0.01)"
)


def reads_on(listener: StreamClient, number: int) -> int:
    """Return the next number of the stream, which follows the last one."""
    line = int(listener.line())
    assert line == number + 1
    return line


@pytest.mark.parametrize("create", [False, True], ids=["mv", "logrotate"])
def test_log_that_is_renamed_is_opened_again_and_its_stream_goes_on(
    api: Api, stack: Stack, tmp_path: Path, create: bool
) -> None:
    log, moved = tmp_path / "out.log", tmp_path / "out.log.1"
    id = api.add(CLOCK, stdout_logfile=str(log), log_max_bytes=0, boot=True)
    with follow(stack, id, lines=0) as listener:
        last = int(listener.line())
        for _ in range(20):
            last = reads_on(listener, last)
        log.rename(moved)
        if create:
            log.touch(0o640)
        eventually(lambda: log.exists() and log.stat().st_size, 1)
        size = moved.stat().st_size
        for _ in range(100):
            last = reads_on(listener, last)
        assert moved.stat().st_size == size, "nothing is written to it any more"
        assert (log.stat().st_mode & 0o777) == (0o640 if create else 0o600)
    kept = moved.read_text().split() + log.read_text().split()
    assert kept[:last] == [str(number) for number in range(len(kept))][:last]


def test_supervisord_opens_logs_again_on_sigusr2(own_stack: Stack, tmp_path: Path) -> None:
    """Its own as well, which it does not look after otherwise."""
    api = own_stack.start().api
    log = tmp_path / "out.log"
    id = api.add(CLOCK, stdout_logfile=str(log), boot=True)
    eventually(lambda: api.logs(id))
    own = own_stack.folder / "stack-logs" / "supervisord.log"
    for file in (log, own):
        file.rename(file.with_name(file.name + ".1"))
    os.kill(own_stack.supervisord_pid, signal.SIGUSR2)
    eventually(lambda: own.exists() and log.exists() and log.stat().st_size, 1)
    api.until(id, "running")
