"""What was measured: values by row, contender and number of programs, and what failed."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple


class Key(NamedTuple):
    row: str
    contender: str
    size: int


@dataclass
class Results:
    values: dict[Key, list[float]] = field(default_factory=dict)
    failures: dict[Key, str] = field(default_factory=dict)

    def add(self, key: Key, value: float) -> None:
        self.values.setdefault(key, []).append(value)

    def add_highest(self, key: Key, value: float) -> None:
        """Keep only the highest value."""
        self.values[key] = [max([value, *self.values.get(key, ())])]

    def fail(self, key: Key, reason: str) -> None:
        """Note the first reason. What was measured before is not reported: it may be the cause."""
        self.failures.setdefault(key, reason)

    def median(self, key: Key) -> float | None:
        """Return the median of a row that did not fail; None if there is none."""
        values = self.values.get(key)
        return median(values) if values and key not in self.failures else None

    def ratio(self, key: Key, to: Key) -> float | None:
        """Return the ratio of two medians; None unless both were measured without failing."""
        one, other = self.median(key), self.median(to)
        return one / other if one is not None and other else None

    def measured(self, row: str) -> bool:
        return any(key.row == row for key in (*self.values, *self.failures))

    def sizes(self) -> list[int]:
        return sorted({key.size for key in (*self.values, *self.failures)})

    def names(self, rows: Iterable[str]) -> set[str]:
        """Return the contenders that have one of these rows."""
        wanted = set(rows)
        return {key.contender for key in (*self.values, *self.failures) if key.row in wanted}
