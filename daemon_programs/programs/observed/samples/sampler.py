"""The thread that takes the samples, and the series that it fills."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from daemon_programs.exceptions import DaemonError
from daemon_programs.programs.observed.samples import stored
from daemon_programs.programs.observed.samples.host import HostMeter, HostSample
from daemon_programs.programs.observed.samples.meter import Meter
from daemon_programs.programs.observed.samples.rings import (
    TICK_SECONDS,
    TICKS_IN_HOUR,
    Sample,
    Series,
    Span,
)
from daemon_programs.supervisor.processes.table import Table
from daemon_programs.supervisor.states import ProgramState

logger = logging.getLogger(__name__)

Point = tuple[float, float | None, int | None]

_HOST = ""  # the name of the host's series; no group has it
_SPARKLINE_TICKS = 60
_SAVE_SECONDS = 300.0
_SAVE_TIMEOUT_SECONDS = 2.0
# What is no older than this is the present: a sample may come late on a busy host.
_LATEST_TICKS = 3
_INTO_TICK_SECONDS = 0.02  # a sleep may end a little early


class Clock:
    """The time since the epoch as it was at first, counted on by a clock that nothing sets back."""

    def __init__(self) -> None:
        self._ahead = time.time() - self.since_boot()

    @staticmethod
    def since_boot() -> float:
        """Return the time by which the kernel gives the start of processes."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def now(self) -> float:
        """Return the time that ticks are counted by."""
        return self.since_boot() + self._ahead


class Sampler:
    """Sample all programs and the host every ten seconds, for as long as this process lives."""

    def __init__(
        self,
        states: Callable[[], dict[str, ProgramState]],
        file: Path,
        clock: Clock | None = None,
    ) -> None:
        self._states = states
        self._file = file
        self._clock = clock or Clock()
        self._meter, self._host_meter = Meter(), HostMeter(file.parent)
        self._lock = threading.Lock()  # of what follows
        self._series: dict[str, Series] = {}
        self._host: HostSample | None = None
        self._tick = 0  # of the last look
        self._saving = threading.Lock()
        self._is_loaded = False
        self._is_failing = False
        self._is_wanted = False
        self._thread: threading.Thread | None = None

    # The figures

    def latest(self, group: str) -> Sample | None:
        """Return what a program uses at present; None if it does not run, or is not known."""
        self._ensure_thread()
        with self._lock:
            series = self._series.get(group)
            return series.hour.get(self._tick) if series and self._is_present() else None

    def host(self) -> HostSample | None:
        """Return what the host uses at present; None if that is not known."""
        self._ensure_thread()
        with self._lock:
            return self._host if self._is_present() else None

    def sparkline(self, group: str) -> list[float | None]:
        """Return the CPU percent of the last ten minutes, oldest first; None for each gap."""
        with self._lock:
            series = self._series.get(group)
            points = series.points("hour", self._tick)[-_SPARKLINE_TICKS:] if series else []
        cpu = [sample and sample.cpu_percent for _, sample in points]
        return [] if all(each is None for each in cpu) else cpu

    def history(self, group: str, span: Span) -> list[Point]:
        """Return the time since the epoch, CPU percent and memory, oldest first; None for gaps."""
        with self._lock:
            series = self._series.get(group)
            points = series.points(span, self._tick) if series else []
        ahead = time.time() - self._clock.now()  # the clock of the host may have been set
        return [(round(tick * TICK_SECONDS + ahead, 1), *(sample or (None, None))) for tick, sample in points]

    def host_history(self, span: Span) -> list[Point]:
        """Return the same of the host: the CPU percent of all cores, and the memory in use."""
        return self.history(_HOST, span)

    def _is_present(self) -> bool:
        return self._now_tick() - self._tick <= _LATEST_TICKS

    def _now_tick(self) -> int:
        return int(self._clock.now() // TICK_SECONDS)

    # Looks

    def look(self) -> None:
        """Take a sample of all programs and of the host; raise DaemonError if supervisord is away."""
        host = self._host_meter.measure()
        try:
            programs = self._states()
            found = self._meter.measure(programs, Table(), self._clock.since_boot())
        except DaemonError:
            self._keep(host, {})
            raise
        self._keep(host, found)
        self._forget(programs)

    def _keep(self, host: HostSample | None, found: dict[str, Sample]) -> None:
        tick = self._now_tick()
        with self._lock:
            self._tick = tick
            self._host = host
            if host is not None:
                found = {**found, _HOST: Sample(host.cpu_percent, host.memory_used_bytes)}
            for name, sample in found.items():
                self._series.setdefault(name, Series()).put(tick, sample)

    def _forget(self, programs: dict[str, ProgramState]) -> None:
        """Forget the programs that supervisord no longer has, an hour after their last sample."""
        with self._lock:
            for group in self._series.keys() - programs.keys() - {_HOST}:
                if self._tick - self._series[group].hour.end >= TICKS_IN_HOUR:
                    del self._series[group]

    # The thread

    def start(self) -> None:
        """Start the thread. If the system has no room for one, it is started when figures are asked for."""
        self._is_wanted = True
        self._ensure_thread()

    def _ensure_thread(self) -> None:
        if not self._is_wanted or (self._thread is not None and self._thread.is_alive()):
            return
        thread = threading.Thread(target=self._run, name="samples", daemon=True)
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return
            try:
                thread.start()
            except RuntimeError as problem:
                self._report(problem)
            else:
                self._thread = thread

    def _run(self) -> None:
        if not self._is_loaded:
            self.load()
        saved_at = self._clock.now()
        while True:
            self._try_to_look()
            if self._clock.now() - saved_at >= _SAVE_SECONDS:
                self.save()
                saved_at = self._clock.now()
            time.sleep(self._seconds_to_next_look())

    def _seconds_to_next_look(self) -> float:
        """Return how long it is until a tick begins; over less than a second CPU can't be measured."""
        seconds = TICK_SECONDS - self._clock.now() % TICK_SECONDS
        return seconds + _INTO_TICK_SECONDS + (TICK_SECONDS if seconds < 1 else 0)

    def _try_to_look(self) -> None:
        """Take a sample; whatever fails, the next one is taken."""
        try:
            self.look()
        except Exception as problem:
            self._report(problem)
        else:
            self._is_failing = False

    def _report(self, problem: Exception) -> None:
        """Log the first of several failures in a row."""
        if not self._is_failing:
            reason = problem if isinstance(problem, DaemonError) else repr(problem)
            logger.warning("Usage can't be sampled at the moment: %s", reason)
        self._is_failing = True

    # The file

    def load(self) -> None:
        """Read the samples that an earlier process has written."""
        series: dict[str, Series] = {}
        if self._file.exists():
            try:
                series = stored.read(self._file, self._clock.now())
            except stored.Unreadable as problem:
                logger.warning("Earlier samples of usage are dropped: %s", problem)
        with self._lock:
            self._series = {**series, **self._series}
            self._tick = self._now_tick()
            self._is_loaded = True

    def save(self) -> None:
        """Write the samples to the file, unless none were read yet or that is under way."""
        # A signal handler may come in while its own thread saves, so this does not wait for long.
        if not self._is_loaded or not self._saving.acquire(timeout=_SAVE_TIMEOUT_SECONDS):
            return
        try:
            stored.write(self._file, self._clock.now(), self._entries())
        except OSError as problem:
            logger.warning("Samples of usage can't be written: %s", problem)
        finally:
            self._saving.release()

    def _entries(self) -> Iterator[stored.Entry]:
        for name in list(self._series):
            with self._lock:
                series = self._series.get(name)
                entry = series and (name, series.hour.stored(), series.day.stored())
            if entry:
                yield entry
