"""How long a run takes, to be said at its start."""

from collections.abc import Collection, Sequence


def minutes(sizes: Sequence[int], daemons: int, rows: Collection[str]) -> int:
    """Estimate from what a whole run on two idle cores has taken."""
    seconds = sum(daemons * (25 + size * 0.1) for size in sizes)
    return max(1, round(seconds / 60))
