"""Keep the figures of an hour at ten seconds and of a day at a minute, in eight bytes each.

Time is counted in *ticks* of ten seconds. A tick without figures is a gap: the program did not run, or it was
not looked at.
"""

import math
from array import array
from statistics import fmean
from typing import Literal, NamedTuple

Span = Literal["hour", "day"]

TICK_SECONDS = 10
_TICKS_IN_MINUTE = 6
TICKS_IN_HOUR = 360
_MINUTES_IN_DAY = 1440
_PAGE_BYTES = 4096  # what memory is counted in: 32 bits of it are 16 TiB
_MOST_PAGES = 2**32 - 1


class Sample(NamedTuple):
    """What a program used at one time."""

    cpu_percent: float  # of one core
    memory_rss_bytes: int


class Stored(NamedTuple):
    """The content of a ring, oldest first."""

    end: int  # the tick after the last one
    cpu: bytes
    memory: bytes


_NOTHING = Stored(0, b"", b"")


class Ring:
    """The last figures, one for each tick. It takes the room of those that it has, up to its length."""

    def __init__(self, length: int, stored: Stored = _NOTHING) -> None:
        self._length = length
        self._cpu, self._memory = array("f", stored.cpu), array("I", stored.memory)
        if len(self._cpu) != len(self._memory) or len(self._cpu) > length:
            raise ValueError("these are not the figures of a ring")
        self.end = stored.end
        self._origin = self.end - len(self._cpu)  # the tick that the arrays begin with, modulo their length

    @property
    def start(self) -> int:
        """The first tick that the ring has."""
        return self.end - len(self._cpu)

    def put(self, tick: int, sample: Sample) -> None:
        """Add figures. Ticks that were left out are gaps; what is not later than the last one is ignored."""
        if tick < self.end:
            return
        if tick - self.end >= self._length or not self._cpu:
            self._cpu, self._memory = array("f"), array("I")
            self._origin = self.end = tick
        while self.end < tick:
            self._add(math.nan, 0)
        self._add(sample.cpu_percent, min(sample.memory_rss_bytes // _PAGE_BYTES, _MOST_PAGES))

    def _add(self, cpu: float, pages: int) -> None:
        if len(self._cpu) < self._length:
            self._cpu.append(cpu)
            self._memory.append(pages)
        else:
            index = (self.end - self._origin) % self._length
            self._cpu[index], self._memory[index] = cpu, pages
        self.end += 1

    def get(self, tick: int) -> Sample | None:
        """Return the figures of a tick; None if it is a gap or out of the ring."""
        if not self.start <= tick < self.end:
            return None
        index = (tick - self._origin) % self._length
        cpu = self._cpu[index]
        # As precise as it was measured: 32 bits hold about seven digits.
        return None if math.isnan(cpu) else Sample(round(cpu, 1), self._memory[index] * _PAGE_BYTES)

    def stored(self) -> Stored:
        """Return the content, to be stored."""
        index = (self.end - self._origin) % self._length
        cpu, memory = self._cpu[index:] + self._cpu[:index], self._memory[index:] + self._memory[:index]
        return Stored(self.end, cpu.tobytes(), memory.tobytes())


class Series:
    """The last hour and the last day of a program. A minute has its mean of CPU and its maximum of memory."""

    def __init__(self, hour: Stored = _NOTHING, day: Stored = _NOTHING) -> None:
        self.hour = Ring(TICKS_IN_HOUR, hour)
        self.day = Ring(_MINUTES_IN_DAY, day)
        self._closed = self.day.end  # the first minute that the day does not have

    def put(self, tick: int, sample: Sample) -> None:
        """Add figures, and those of the minutes that are over."""
        self._close_minutes(tick // _TICKS_IN_MINUTE)
        self.hour.put(tick, sample)

    def _close_minutes(self, present: int) -> None:
        if present <= self._closed:
            return
        first = max(self._closed, self.hour.start // _TICKS_IN_MINUTE)
        end = min(present, -(-self.hour.end // _TICKS_IN_MINUTE))
        for minute in range(first, end):
            ticks = range(minute * _TICKS_IN_MINUTE, (minute + 1) * _TICKS_IN_MINUTE)
            if found := [sample for tick in ticks if (sample := self.hour.get(tick))]:
                cpu, memory = zip(*found, strict=True)
                self.day.put(minute, Sample(fmean(cpu), max(memory)))
        self._closed = present

    def points(self, span: Span, tick: int) -> list[tuple[int, Sample | None]]:
        """Return the figures up to ``tick``, from the first ones that the span has, with the tick of each."""
        if span == "hour":
            first = max(self.hour.start, tick + 1 - TICKS_IN_HOUR)
            return [(each, self.hour.get(each)) for each in range(first, tick + 1)]
        present = tick // _TICKS_IN_MINUTE
        self._close_minutes(present)
        first = max(self.day.start, present - _MINUTES_IN_DAY)
        return [(minute * _TICKS_IN_MINUTE, self.day.get(minute)) for minute in range(first, present)]
