"""What the benchmark's tables say, and what they don't."""

import http.server
import threading
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.bench import drawing, load, peers, report
from tests.bench.results import Key, Results
from tests.bench.sides import BEFORE, CHOICES, OURS, makers, names
from tests.bench.sides.side import Request

PM2 = CHOICES["pm2"]
NAMES = names(list(CHOICES), None)


@pytest.fixture
def results() -> Results:
    found = Results()
    for name, values in {OURS: (2, 8), PM2: (4, 4), BEFORE: (2, 4)}.items():
        for size, value in zip((0, 100), values, strict=True):
            for more in (-1, 0, 1):  # the median counts
                found.add(Key("add", name, size), value + more * 0.5)
    return found


def line(results: Results, name: str) -> list[str]:
    for text in report.tables(results, NAMES)[0].splitlines():
        found = [cell.strip() for cell in text.split("|")[1:-1]]
        if found[1:2] == [name]:
            return found
    raise AssertionError(f"{name} has no line")


def test_medians_have_ratios_to_ours_and_growth(results: Results) -> None:
    assert line(results, OURS) == ["add + start", OURS, "2.0", "8.0", "4.0×"]
    assert line(results, PM2) == ["add + start", PM2, "4.0 (2.0×)", "4.0 (0.5×)", "1.0×"]


def test_no_ratio_is_made_with_a_side_that_has_failed(results: Results) -> None:
    results.fail(Key("add", PM2, 0), "TimeoutError: not within 60 s")
    assert line(results, PM2) == ["add + start", PM2, "> 60 s", "4.0 (0.5×)", "–"]
    results.fail(Key("add", OURS, 100), "it broke")
    assert line(results, OURS) == ["add + start", OURS, "2.0", "failed", "–"]
    assert line(results, PM2) == ["add + start", PM2, "> 60 s", "4.0", "–"]
    last = report.tables(results, NAMES)[-1]
    assert f"- {PM2}, add + start, 0 programs: TimeoutError: not within 60 s" in last
    assert report.promises(results) == []


def test_versions_are_those_of_the_peers_that_were_measured(results: Results) -> None:
    text = report.circumstances(results, 15, 0.5)
    assert peers.VERSIONS["pm2"] in text
    assert "circus" not in text


def test_promises_are_held_against_the_version_before(results: Results) -> None:
    assert report.promises(results) == [
        "NOT HELD: add + start grows less than 3× from 0 to 100 programs: 4.0×",
        "NOT HELD: add at 100 programs takes less than 1.1× as before: 2.00×",
    ]


def test_an_operation_is_a_multiple_of_the_sum_of_its_steps(results: Results) -> None:
    assert report.over_floor(results, "add", 0) is None
    for step in ("request", "call", "commit", "fork"):
        results.add(Key(step, "floor", 0), 0.25)
    assert report.over_floor(results, "add", 0) == pytest.approx(2 / (0.25 * 6))


def test_pictures_are_small_and_the_same_for_the_same_values(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "DOCUMENT", tmp_path / "benchmarks.md")
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path))
    light, dark = drawing.write(results, NAMES)
    assert (light.name, dark.name) == ("benchmarks-light.svg", "benchmarks-dark.svg")
    first = light.read_text()
    assert first != dark.read_text()
    assert len(first) < 100_000
    assert OURS in "".join(ElementTree.fromstring(first).itertext())
    assert light.name in drawing.markup()
    assert dark.name in drawing.markup()
    drawing.write(results, NAMES)
    assert light.read_text() == first


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/" else 500)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_load_counts_answers() -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = ("127.0.0.1", server.server_address[1])
        found = load.generate(Request(address, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), 3, 0.5)
        assert found.rate > 0
        assert 0 < found.p50 <= found.p99
        with pytest.raises(RuntimeError, match="500"):
            load.generate(Request(address, b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n"), 3, 0.5)
        server.shutdown()


def test_the_version_before_follows_ours_in_the_tables() -> None:
    assert names(["pm2", "ours"], Path("/clone"))[:3] == [OURS, BEFORE, PM2]
    assert names(["pm2"], Path("/clone"))[:2] == [BEFORE, PM2]


def test_percentiles_are_values_that_were_measured() -> None:
    values = [0.001 * number for number in range(1, 101)]
    assert load.percentile(values, 50) == pytest.approx(50)
    assert load.percentile(values, 99) == pytest.approx(99)
    assert load.percentile([0.002], 99) == pytest.approx(2)


def test_a_peer_without_its_runtime_is_left_out_with_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers.shutil, "which", lambda name: None)
    said: list[str] = []
    assert makers(["pm2", "pm2-cli"], None, said.append) == []
    assert said == ["pm2 is left out: node and npm are not installed"]


def test_a_peer_that_cannot_be_installed_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "FOLDER", tmp_path / "peers")
    monkeypatch.setattr(peers, "_CIRCUS", ("no-such-package==0",))
    monkeypatch.setattr(peers.sys, "executable", "false")
    with pytest.raises(peers.Missing, match="it can't be installed"):
        peers.circus()
    assert list((tmp_path / "peers").iterdir()) == []
