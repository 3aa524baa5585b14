"""``observed.samples``: rings, the meter, the thread's looks, and the file that outlasts the API."""

import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon_programs.exceptions import SupervisorUnavailable
from daemon_programs.programs.observed.samples import meter, sampler, stored
from daemon_programs.programs.observed.samples.host import HostMeter
from daemon_programs.programs.observed.samples.rings import Ring, Sample, Series
from daemon_programs.programs.observed.samples.sampler import Clock, Sampler
from daemon_programs.supervisor.processes import tree
from daemon_programs.supervisor.processes.table import Process, Table
from tests.test_api_shortages import no_threads

PAGE = 4096
GROUP = "program-1"
BOOT = 1_000.0  # when the looks of these tests begin, in seconds since the system has booted


def sample(cpu: float, pages: int = 1) -> Sample:
    return Sample(cpu, pages * PAGE)


# Rings


def test_ring_keeps_the_last_figures_and_where_they_belong() -> None:
    ring = Ring(4)
    for tick in range(10, 17):
        ring.put(tick, sample(tick, tick))
    assert [ring.get(tick) for tick in range(11, 18)] == [
        *(None, None),
        *(sample(tick, tick) for tick in range(13, 17)),
        None,
    ]


def test_ring_has_gaps() -> None:
    ring = Ring(4)
    ring.put(10, sample(1))
    ring.put(13, sample(2))
    assert [ring.get(tick) for tick in range(10, 14)] == [sample(1), None, None, sample(2)]
    ring.put(15, sample(3))
    assert [ring.get(tick) for tick in range(10, 16)] == [None, None, None, sample(2), None, sample(3)]


def test_ring_begins_anew_after_a_long_gap() -> None:
    ring = Ring(4)
    ring.put(10, sample(1))
    ring.put(1000, sample(2))
    assert (ring.start, ring.end, ring.get(10), ring.get(1000)) == (1000, 1001, None, sample(2))


def test_ring_ignores_what_is_not_later() -> None:
    ring = Ring(4)
    ring.put(10, sample(1))
    ring.put(10, sample(2))
    ring.put(9, sample(2))
    assert (ring.start, ring.get(10)) == (10, sample(1))


def test_ring_holds_hundreds_of_cores_and_terabytes() -> None:
    ring = Ring(4)
    ring.put(1, Sample(25_600.0, 2**43 + PAGE))
    assert ring.get(1) == Sample(25_600.0, 2**43 + PAGE)
    ring.put(2, Sample(0.1, 2**60))
    assert ring.get(2) == Sample(0.1, 2**44 - PAGE)


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 11])
def test_ring_is_stored_and_goes_on(count: int) -> None:
    ring = Ring(4)
    for tick in range(count):
        ring.put(tick, sample(tick))
    again = Ring(4, ring.stored())
    again.put(count, sample(count))
    ring.put(count, sample(count))
    assert [again.get(tick) for tick in range(-1, 14)] == [ring.get(tick) for tick in range(-1, 14)]


def test_minute_has_the_mean_of_cpu_and_the_highest_memory() -> None:
    series = Series()
    for tick, cpu in enumerate([10, 20, 30, 40, 50, 60, 70]):
        series.put(60 + tick, sample(cpu, tick + 1))
    assert series.points("day", 66) == [(60, sample(35, 6))]


def test_minute_counts_the_samples_that_it_has() -> None:
    series = Series()
    series.put(62, sample(10))
    series.put(64, sample(20))
    assert series.points("day", 80) == [(60, sample(15)), (66, None), (72, None)]


def test_day_is_complete_whenever_it_is_asked_for() -> None:
    series, asked = Series(), Series()
    for tick in range(10_000):
        for each in (series, asked):
            each.put(tick, sample(tick % 50))
        if tick % 13 < 2:  # twice in a row, and at each part of a minute
            asked.points("day", tick)
    points = series.points("day", 9_999)
    assert points == asked.points("day", 9_999)
    assert len(points) == 1440
    assert all(found for _, found in points)
    assert len(series.points("hour", 9_999)) == 360


# The meter


def process(
    pid: int,
    cpu: float,
    *,
    waited: float = 0.0,
    parent: int = 1,
    started: float = BOOT - 500,
    alive: bool = True,
) -> Process:
    start = round(started * os.sysconf("SC_CLK_TCK"))
    return Process(tree.Identity(pid, start), parent, alive, cpu, waited, pid * PAGE if alive else 0)


def table_of(*processes: Process) -> Table:
    table = Table.__new__(Table)
    table.processes = {each.identity.pid: each for each in processes}
    table._children = {}
    for each in processes:
        table._children.setdefault(each.parent, []).append(each.identity.pid)
    return table


def running(pid: int = 100, orphans: list[int] | None = None) -> dict[str, Any]:
    found = {"pid": pid, **({"orphans": orphans} if orphans else {})}
    return {GROUP: {"processes": {GROUP: found}}}


def measured(before: list[Process], after: list[Process], **state: Any) -> Sample | None:
    """What two looks ten seconds apart tell."""
    each = meter.Meter()
    assert each.measure(running(**state), table_of(*before), BOOT) == {}
    return each.measure(running(**state), table_of(*after), BOOT + 10).get(GROUP)


def test_cpu_is_what_was_used_since_the_last_look_and_memory_is_summed() -> None:
    child = process(101, 50, parent=100)
    after = [process(100, 12), process(101, 53, parent=100)]
    assert measured([process(100, 10), child], after) == sample(50.0, 201)


def test_orphans_count() -> None:
    before = [process(100, 10), process(300, 10), process(301, 1, parent=300)]
    after = [process(100, 10), process(300, 11), process(301, 2, parent=300)]
    assert measured(before, after, orphans=[300]) == sample(20.0, 701)


def test_new_process_counts_whole_and_one_that_was_overlooked_does_not() -> None:
    new = process(101, 1, parent=100, started=BOOT + 5)
    overlooked = process(102, 5000, parent=100)
    assert measured([process(100, 0)], [process(100, 0), new, overlooked]) == sample(10.0, 303)


def test_child_that_was_waited_for_counts_once() -> None:
    before = [process(100, 0, waited=70), process(101, 30, parent=100)]
    assert measured(before, [process(100, 0, waited=101)]) == sample(10.0, 100)
    # It came and went between two looks.
    assert measured([process(100, 0)], [process(100, 0, waited=2)]) == sample(20.0, 100)


def test_child_that_nobody_has_waited_for_takes_nothing_away() -> None:
    before = [process(100, 0), process(101, 3000, parent=100)]
    assert measured(before, [process(100, 1)]) == sample(10.0, 100)


def test_pid_that_was_reused_is_another_process() -> None:
    assert measured([process(100, 900)], [process(100, 1, started=BOOT + 1)]) == sample(10.0, 100)


def test_no_more_than_all_cores_can_do() -> None:
    assert measured([process(100, 0)], [process(100, 1e9)]) == sample(100.0 * meter._CORES, 100)


def test_what_has_ended_is_not_measured() -> None:
    assert measured([process(100, 0)], []) is None
    assert measured([process(100, 0)], [process(100, 1, alive=False)]) is None


def test_host_is_measured_in_percent_of_all_cores(tmp_path: Path) -> None:
    each = HostMeter(tmp_path)
    assert each.measure() is None
    until = time.monotonic() + 0.3
    while time.monotonic() < until:
        pass
    found = each.measure()
    assert found is not None
    assert 0 < found.cpu_percent <= 100
    assert 0 < found.memory_used_bytes < found.memory_total_bytes
    assert 0 < found.disk_used_bytes < found.disk_total_bytes
    assert len(found.load_averages) == 3


# Looks


class SteppedClock(Clock):
    """A clock that tests put forward."""

    passed = 0.0

    def now(self) -> float:
        return super().now() + self.passed


class World:
    """A sampler of a program that is this process, and of what else the test says."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "samples"
        self.programs: dict[str, Any] | None = running(os.getpid())
        self.clock = SteppedClock()
        self.clock.passed = 10 - self.clock.now() % 10  # so that a look is soon after its tick began
        self.sampler = Sampler(self.states, self.file, self.clock)
        self.sampler.load()

    def states(self) -> dict[str, Any]:
        if self.programs is None:
            raise SupervisorUnavailable
        return self.programs

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            self.clock.passed += 10
            self.sampler._try_to_look()

    def restarted(self, after: float = 0.0) -> Sampler:
        """The sampler of the next process, some seconds later; its clock begins again."""
        clock = SteppedClock()
        clock.passed = self.clock.passed + after
        again = Sampler(self.states, self.file, clock)
        again.load()
        return again

    def cpu(self, group: str = GROUP) -> list[float | None]:
        return [cpu for _, cpu, _ in self.sampler.history(group, "hour")]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_first_look_is_where_the_next_one_counts_from(world: World) -> None:
    world.look()
    assert world.sampler.latest(GROUP) is None
    assert world.sampler.history(GROUP, "hour") == []
    assert world.sampler.sparkline(GROUP) == []
    world.look()
    latest = world.sampler.latest(GROUP)
    assert latest is not None
    assert latest.memory_rss_bytes > 10 * 2**20
    ((at, cpu, memory),) = world.sampler.history(GROUP, "hour")
    assert (cpu, memory) == latest
    assert world.sampler.sparkline(GROUP) == [latest.cpu_percent]
    assert -0.1 <= time.time() - at < 15  # it is rounded
    host = world.sampler.host()
    assert host is not None
    assert world.sampler.host_history("hour")[-1][1:] == (host.cpu_percent, host.memory_used_bytes)


def test_unknown_program_has_no_figures(world: World) -> None:
    world.look(2)
    assert world.sampler.latest("program-2") is None
    assert world.sampler.sparkline("program-2") == world.sampler.history("program-2", "day") == []


def test_program_that_does_not_run_has_a_gap(world: World) -> None:
    world.look(3)
    world.programs = {GROUP: {"processes": {GROUP: {"state": "stopped"}}}}
    world.look(2)
    assert world.sampler.latest(GROUP) is None
    assert [cpu is None for cpu in world.cpu()] == [False, False, True, True]
    world.programs = running(os.getpid())
    world.look(2)
    assert [cpu is None for cpu in world.cpu()] == [False, False, True, True, False, False]
    assert world.sampler.sparkline(GROUP) == world.cpu()


def test_lost_supervisord_is_a_gap_and_one_line(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.look(2)
    world.programs = None
    world.look(3)
    world.programs = running(os.getpid())
    world.look()
    assert [cpu is None for cpu in world.cpu()] == [False, True, True, True, False]
    assert [cpu is None for _, cpu, _ in world.sampler.host_history("hour")] == [False] * 5
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    world.programs = None
    world.look(2)
    assert len(caplog.records) == 2


def test_look_that_fails_otherwise_does_not_end_the_thread(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world.look(2)
    monkeypatch.setattr(tree.os, "listdir", lambda path: 1 / 0)
    world.look(2)
    monkeypatch.undo()
    world.look()
    assert [cpu is None for cpu in world.cpu()] == [False, True, True, False]
    assert len(caplog.records) == 1


def test_figures_of_a_thread_that_hangs_are_not_the_present(world: World) -> None:
    world.look(2)
    world.clock.passed += 60
    assert world.sampler.latest(GROUP) is None
    assert world.sampler.host() is None
    assert len(world.cpu()) == 1


def test_program_that_is_gone_is_forgotten_after_an_hour(world: World) -> None:
    world.look(2)
    world.programs = {}
    world.look(300)
    assert world.cpu()
    world.look(70)
    assert world.sampler.history(GROUP, "day") == []
    assert world.sampler.host_history("day")


def test_program_that_is_stopped_is_not_forgotten(world: World) -> None:
    world.look(2)
    world.programs = {GROUP: {"processes": {}}}
    world.look(400)
    assert [cpu for cpu in world.cpu() if cpu is not None] == []
    assert world.sampler.history(GROUP, "day")[0][1] is not None


# The file


def test_file_outlasts_the_process(world: World) -> None:
    world.look(10)
    before = {span: world.sampler.history(GROUP, span) for span in ("hour", "day")}  # type: ignore[arg-type]
    world.sampler.save()
    assert world.file.stat().st_mode & 0o777 == 0o600
    again = world.restarted(after=40)
    for span, points in before.items():
        found = again.history(GROUP, span)  # type: ignore[arg-type]
        assert [point[1:] for point in found[: len(points)]] == [point[1:] for point in points]
        passed = [point[0] - later[0] for point, later in zip(points, found, strict=False)]
        assert passed == pytest.approx([40.0] * len(points), abs=1)
    assert [cpu for _, cpu, _ in again.history(GROUP, "hour")[-3:]] == [None] * 3
    assert again.latest(GROUP) is None


@pytest.mark.parametrize("content", [b"", b"{}", b"daemon samples 1 little\n", b"\0" * 100])
def test_file_that_holds_something_else_is_dropped(
    world: World, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    world.file.write_bytes(content)
    assert world.restarted().history(GROUP, "hour") == []
    assert "dropped" in caplog.text


def test_damaged_file_is_dropped(world: World) -> None:
    world.look(10)
    world.sampler.save()
    whole = world.file.read_bytes()
    for position in range(0, len(whole), 7):
        world.file.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(stored.Unreadable):
            stored.read(world.file, world.clock.now())
        world.file.write_bytes(whole[:position])
        with pytest.raises(stored.Unreadable):
            stored.read(world.file, world.clock.now())


def test_file_that_can_not_be_read_is_dropped(world: World) -> None:
    world.file.mkdir()
    assert world.restarted().history(GROUP, "hour") == []


@pytest.mark.parametrize(("after", "is_read"), [(86_000, True), (87_000, False), (-30, True), (-300, False)])
def test_file_that_is_old_or_of_the_future_is_dropped(world: World, after: float, is_read: bool) -> None:
    world.look(20)
    world.sampler.save()
    assert bool(world.restarted(after).history(GROUP, "day")) is is_read


def test_file_of_another_boot_is_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.look(3)
    world.sampler.save()
    monkeypatch.setattr(Clock, "since_boot", staticmethod(lambda: 5.0))
    assert len(world.restarted().history(GROUP, "hour")) >= 2


def test_clock_that_was_set_does_not_disturb_the_figures(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.look(3)
    ahead = time.time() + 7200
    monkeypatch.setattr(sampler.time, "time", lambda: ahead)
    world.look()
    points = world.sampler.history(GROUP, "hour")
    assert all(cpu is not None for _, cpu, _ in points)
    assert -0.1 < ahead - points[-1][0] < 15  # times are rounded to tenths of a second


def test_nothing_is_written_before_the_file_was_read(world: World) -> None:
    world.look(3)
    world.sampler.save()
    size = world.file.stat().st_size
    Sampler(world.states, world.file, world.clock).save()
    assert world.file.stat().st_size == size


def test_full_disk_costs_a_line(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.file = world.sampler._file = world.file.parent / "missing" / "samples"
    world.sampler.save()
    assert "can't be written" in caplog.text


def test_save_within_a_save_gives_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler, "_SAVE_TIMEOUT_SECONDS", 0.01)
    entries = world.sampler._entries

    def interrupted() -> Iterator[stored.Entry]:
        world.sampler.save()  # as a signal handler would
        yield from entries()

    monkeypatch.setattr(world.sampler, "_entries", interrupted)
    world.look(3)
    world.sampler.save()
    assert world.restarted().history(GROUP, "hour") != []


# The thread


def test_no_thread_runs_unless_it_is_started(world: World) -> None:
    world.look(2)
    world.sampler.latest(GROUP)
    assert world.sampler._thread is None


def test_thread_that_could_not_start_starts_later(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with no_threads():
        world.sampler.start()
        assert world.sampler.latest(GROUP) is None
    assert len(caplog.records) == 1
    world.sampler.latest(GROUP)
    assert world.sampler._thread is not None
    assert world.sampler._thread.is_alive()
    assert world.sampler._thread.daemon


def test_look_comes_soon_after_a_tick_has_begun(world: World) -> None:
    for into, seconds in ((0.5, 9.52), (8.9, 1.12), (9.5, 10.52)):
        world.clock.passed += 10 - world.clock.now() % 10 + into
        assert world.sampler._seconds_to_next_look() == pytest.approx(seconds, abs=0.05)
