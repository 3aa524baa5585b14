"""``daemonctl logs`` and ``events``: merged, filtered, and followed across lost connections."""

import json
import time
from pathlib import Path

import pytest

from daemonctl.commands.logs import _streams
from daemonctl.selection import Program
from tests.daemonctl.conftest import Ctl, Open
from tests.daemonctl.proxy import proxy_to
from tests.processes import started
from tests.stack import Api, Stack, eventually
from tests.temporary_programs import Quick

T = "2026-11-21T18:40:0{}.000Z"


@pytest.fixture
def shop(api: Api, tmp_path: Path) -> list[Path]:
    """Two programs with logs that are written already; the files of their standard output."""
    files = [tmp_path / "web.log", tmp_path / "db.log"]
    files[0].write_text(f"{T.format(1)} web one\n{T.format(3)} web three\n")
    files[1].write_text(f"{T.format(2)} db two\n{T.format(4)} db four\n")
    (tmp_path / "web.err").write_text(f"{T.format(5)} web Error\n")
    api.add(name="shop-web", stdout_logfile=str(files[0]), stderr_logfile=str(tmp_path / "web.err"))
    api.add(name="shop-db", stdout_logfile=str(files[1]), labels={"team": "data"})
    return files


def test_logs_of_several_programs_are_merged_by_time(shop: list[Path], ctl: Ctl) -> None:
    assert ctl("logs", "shop-*").stdout == (
        "shop-web | 2026-11-21T18:40:01.000Z web one\n"
        "shop-db  | 2026-11-21T18:40:02.000Z db two\n"
        "shop-web | 2026-11-21T18:40:03.000Z web three\n"
        "shop-db  | 2026-11-21T18:40:04.000Z db four\n"
        "shop-web ! 2026-11-21T18:40:05.000Z web Error\n"
    )
    assert ctl("logs", "-n", "1", "--stdout", "shop-web").stdout == "2026-11-21T18:40:03.000Z web three\n"


def test_lines_are_filtered(shop: list[Path], ctl: Ctl) -> None:
    def lines(*arguments: str) -> list[str]:
        ran = ctl("logs", "-o", "json", *arguments)
        assert ran.returncode == 0, ran.stderr
        return [json.loads(line)["line"] for line in ran.stdout.splitlines()]

    assert lines("shop-*", "--since", T.format(3), "--until", T.format(4)) == ["web three", "db four"]
    assert lines("shop-*", "--grep", "error", "-i") == ["web Error"]
    assert lines("shop-*", "--grep", "error") == []
    assert lines("team=data", "-n", "1") == ["db four"]
    assert lines("shop-web", "--stderr") == ["web Error"]
    assert lines("shop-*", "--since", "10m") == []


def test_problems_of_logs_are_sentences(shop: list[Path], quick: Quick, ctl: Ctl) -> None:
    wrong = ctl("logs", "shop-web", "--since", "yesterday")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr.startswith("Query parameter 'since' must be a time such as ")
    assert ctl("logs", "-f", "--until", "1h").returncode == 2
    shop[1].unlink()
    shop[1].symlink_to("/etc/shadow")
    partly = ctl("logs", "shop-*", "-n", "1")
    assert partly.stdout.endswith("web Error\n")
    assert partly.stderr.startswith("shop-db: The log can't be read: ")


def test_logs_of_temporary_programs_are_shown_beside_others(shop: list[Path], ctl: Ctl) -> None:
    id = ctl("run", "-d", "--", "sh", "-c", "echo out; echo err >&2; exec sleep 1000").stdout.strip()
    try:
        eventually(lambda: ctl("logs", id).stdout == "out\nerr\n")
        assert ctl("logs", "-n", "1", id, "shop-web").stdout.endswith(f"{id} | out\n{id} ! err\n")
        assert ctl("logs", "--grep", "x", id).returncode == 2
    finally:
        ctl("stop", id)


def test_no_line_is_lost_or_repeated_while_connections_are_cut(
    api: Api, stack: Stack, terminal: Open, tmp_path: Path
) -> None:
    logs = [tmp_path / "a.log", tmp_path / "b.log"]
    for log in logs:
        api.add(name=f"cut-{log.stem}", stdout_logfile=str(log))
    written = 0

    def write() -> None:
        nonlocal written
        written += 1
        for log in logs:
            with log.open("a") as file:
                file.write(f"line {written}.\n")

    write()
    with proxy_to(stack.port) as proxy:
        way = {"DAEMONCTL_URL": proxy.url, "DAEMONCTL_TOKEN": stack.token}
        followed = terminal("logs", "-f", "--grep", "line", "cut-*", **way)
        for _ in range(3):
            connections = proxy.connections
            proxy.cut()
            for _ in range(20):
                write()
            eventually(lambda known=connections: proxy.connections > known)
            write()
            last = f"\x1b[0m | line {written}.\r\n"
            eventually(lambda last=last: followed.shown.count(last) == len(logs), 20, last)
    for name in ("cut-a", "cut-b"):
        shown = [line for line in followed.shown.split("\r\n") if name in line]
        assert [line.rpartition(" ")[2] for line in shown] == [f"{n}." for n in range(1, written + 1)]
    assert "trying again" in followed.shown
    followed.type("\x03")
    assert followed.ended() == 130


def test_one_stream_is_told_the_selectors_and_several_share_the_programs() -> None:
    programs = [Program({"id": id, "name": f"p{id}"}) for id in range(120)]
    [one] = _streams(programs[:50], ("p*",), None, {})
    assert one.query["select"] == ["p*"]
    assert [len(each.query["select"]) for each in _streams(programs, ("p*",), None, {})] == [50, 50, 20]
    assert [len(each.query["select"]) for each in _streams(programs, (), "stderr", {})] == [100, 20]
    crew = Program({"id": 1, "name": "crew", "numprocs": 30})
    assert len(_streams([crew, crew], ("x",), None, {})) == 2


def test_events_are_followed_with_filters(api: Api, ctl: Ctl, terminal: Open) -> None:
    id = api.add(name="eventful")
    other = api.add(name="other")
    started(api, id)
    api.until(id, "running")
    eventually(lambda: "-> running" in ctl("events", "eventful").stdout)
    assert "-> starting" not in ctl("events", "eventful", "--state", "running", "--since", "1h").stdout
    assert ctl("events", "eventful", "--since", "0s").stdout == ""
    followed = terminal("events", "-f", "eventful", "--state", "stopped")
    time.sleep(0.5)
    api.ok(f"programs/{other}/start", {"wait": True})
    api.ok(f"programs/{other}/stop")
    api.ok(f"programs/{id}/stop")
    followed.until("eventful  stopping -> ")
    assert "other" not in followed.shown
    assert "running" not in followed.shown
    followed.type("\x03")
    assert followed.ended() == 130
