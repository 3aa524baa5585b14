"""The order in which hosts are tried: the one with the most room first, as far as the hub knows it."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

# Hosts whose available memory differs by less than a step are told apart by their load. A program that was
# placed just now, and isn't visible yet, is taken to use a step of memory and one CPU.
STEP_BYTES = 256 * 1024 * 1024


class Candidate(NamedTuple):
    """A host, and what is known of its room."""

    name: str
    machine: Mapping[str, Any]  # as the host tells it; empty for a version that doesn't
    placed: int = 0  # programs that were placed there just now


def by_room(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return the candidates, the one with the most room first, those that don't tell it last."""
    return sorted(candidates, key=_rank)


def _rank(candidate: Candidate) -> tuple[float, float, int, str]:
    """Return what sorts a candidate: memory in steps, load per CPU, programs placed, name."""
    available = _number(candidate.machine.get("memory_available_bytes"))
    steps = -math.inf if available is None else available // STEP_BYTES - candidate.placed
    load, cpus = (_number(candidate.machine.get(name)) for name in ("load_1m", "cpus"))
    share = math.inf if load is None or not cpus else (load + candidate.placed) / cpus
    return (-steps, share, candidate.placed, candidate.name)


def _number(value: Any) -> float | None:
    """Return a number that is at least 0; None for anything else that a host may tell."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        return None
    return float(value)
