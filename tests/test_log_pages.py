"""The logs of a program at the admin: older lines, copies, and who may have them."""

import re
from pathlib import Path

import pytest

from daemon_programs.logs import rotated
from daemon_programs.logs.cursor import BEGINNING, Cursor
from daemon_programs.logs.earlier import Copy, earlier
from tests.admin_client import PROGRAMS, AdminClient, text_of
from tests.processes import shell
from tests.stack import OWN_USER, Api, Stack, eventually
from tests.temporary_programs import Quick, records
from tests.test_quick_start_admin import LIST


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of 30 numbered lines in three files."""
    for number, name in enumerate(("out.log.2", "out.log.1", "out.log")):
        lines = range(10 * number, 10 * number + 10)
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines))
    return tmp_path / "out.log"


def end_of(log: Path) -> Cursor:
    file = rotated.newest(str(log), OWN_USER)
    assert file is not None
    size = log.stat().st_size
    try:
        return file.cursor(size, log.read_bytes()[-64:])
    finally:
        file.close()


@pytest.mark.parametrize("lines", [1, 3, 10, 15, 29, 30, 31, 1000])
def test_lines_are_read_back_to_the_beginning_across_files(log: Path, lines: int) -> None:
    before: Cursor | None = end_of(log)
    found: list[str] = []
    while before is not None:
        part = earlier(str(log), OWN_USER, before, lines)
        assert len(part.lines) <= lines
        found[:0] = part.lines
        before = part.before
    assert found == [str(number) for number in range(30)]


def test_line_of_any_length_is_read_back(tmp_path: Path) -> None:
    log = tmp_path / "out.log"
    log.write_text("first\n" + "x" * 5_000_000 + "\nlast\n")
    before: Cursor | None = end_of(log)
    found = ""
    for _ in range(10):
        if before is None:
            break
        part = earlier(str(log), OWN_USER, before, 1000)
        assert sum(map(len, part.lines)) <= 3_000_000
        found = "".join(part.lines) + found
        before = part.before
    assert found == "first" + "x" * 5_000_000 + "last"


def test_nothing_is_before_a_position_whose_file_is_gone(log: Path) -> None:
    place = end_of(log)
    log.unlink()
    log.write_text("another\n")
    for before in (place, BEGINNING):
        assert earlier(str(log), OWN_USER, before, 10) == ([], None)


def test_copy_has_the_newest_of_all_files(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = Copy(str(log), OWN_USER)
    log.write_text("emptied meanwhile\n")
    assert b"".join(copy).startswith(b"0\n1\n")
    copy.close()
    monkeypatch.setattr("daemon_programs.logs.earlier.MAX_COPY_BYTES", 20)
    copy = Copy(str(log), OWN_USER)
    assert b"".join(copy) == b"9\nemptied meanwhile\n"[-20:]
    copy.close()


def test_page_of_a_log_shows_one_stream_or_both_of_an_instance(api: Api, boss: AdminClient) -> None:
    id = api.add(shell("echo I am $PORT; exec sleep 1000"), port_range={"start": 21500, "end": 21509})
    boss.press(id, "start", "21503")
    eventually(lambda: api.logs(id, port=21503))
    path = f"{PROGRAMS}{id}/log/"
    page = boss.page(path)
    assert "I am 21503" in text_of(page), "the first that runs"
    assert "logs/stream?type=stderr&amp;port=21503" in page
    assert 'data-shown="both"' in page
    for query, shown in (({"stream": "stderr"}, "stderr"), ({"stream": "<x>", "port": "x"}, "both")):
        assert f'data-shown="{shown}"' in boss.page(path, **query)
    assert "I am 21503" not in text_of(boss.page(path, port=21504))
    copy = boss.get(f"{path}download/", stream="stdout", port=21503)
    assert copy.text == "I am 21503\n"
    assert re.fullmatch(
        r'attachment; filename="test \d+-21503-stdout.log"', copy.headers["Content-Disposition"]
    )
    assert copy.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert copy.headers["X-Content-Type-Options"] == "nosniff"


def test_older_lines_are_those_before_an_event_of_the_stream(api: Api, boss: AdminClient, log: Path) -> None:
    id = api.add(stdout_logfile=str(log))
    path = f"{PROGRAMS}{id}/log/earlier/"
    answer = boss.get(path, stream="stdout", before=str(end_of(log))).json()
    assert answer == {"lines": [str(number) for number in range(30)], "before": None}
    for query in ({"stream": "stdin", "before": "0-0-0-0"}, {"stream": "stdout", "before": "x"}, {}):
        assert boss.get(path, **query).status_code == 400
    assert boss.get(f"{PROGRAMS}{id}/log/download/", stream="x").status_code == 400
    log.unlink()
    log.symlink_to(log)
    for answer in (
        boss.get(path, stream="stdout", before="0-0-0-0"),
        boss.get(f"{PROGRAMS}{id}/log/download/", stream="stdout"),
    ):
        assert answer.status_code == 409
        assert "The log can't be read: too many levels of symbolic links." in answer.text


def test_logs_need_the_permission_to_view_and_nothing_but_get(
    stack: Stack, api: Api, boss: AdminClient, quick: Quick
) -> None:
    temporary = quick.run()
    programs = f"{PROGRAMS}{api.add()}/log/"
    launches = f"{LIST}{records(stack)[temporary]['id']}/log/"
    queries = {
        "": {},
        "earlier/": {"stream": "stdout", "before": "0-0-0-0"},
        "download/": {"stream": "stdout"},
    }
    people = {"viewer": (200, 200), "starter": (200, 403), "blind": (403, 403)}
    for person, codes in people.items():
        client = AdminClient(stack, person)
        for place, code in zip((programs, launches), codes, strict=True):
            for route, query in queries.items():
                assert client.get(f"{place}{route}", **query).status_code == code, (person, place, route)
    for route in queries:
        assert boss.post(f"{programs}{route}", {}).status_code == 405
        anonymous = stack.client(None).session.get(
            f"{stack.url}/admin/{programs}{route}", allow_redirects=False
        )
        assert anonymous.status_code == 302
    assert boss.get(f"{PROGRAMS}999999/log/").status_code == 404
