"""How long a run takes, to be said at its start."""

from collections.abc import Collection, Sequence

from tests.bench.figures import ROWS


def minutes(sizes: Sequence[int], daemons: int, rows: Collection[str]) -> int:
    """Estimate generously, from what runs on two busy cores have taken; setting up takes a third."""
    whole = sum(daemons * (35 + size * 0.13) for size in sizes)
    share = (1 + 2 * len(set(rows)) / len(ROWS)) / 3
    return max(1, round(whole * share / 60))
