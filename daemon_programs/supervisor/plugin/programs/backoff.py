"""Whether and when a process that has ended is started again."""

import random
from dataclasses import dataclass

_JITTER = 0.1  # of a pause: what fails for one cause is not started again all at once


@dataclass(frozen=True)
class RestartPolicy:
    """What a program's fields say about restarts. The defaults are those of the fields."""

    start_retries: int | None = 3  # None: without end
    delay_seconds: int = 1
    delay_max_seconds: int = 60
    stable_seconds: int = 60
    limit: int | None = None

    def pause(self, restarts: int) -> float:
        """Return the pause, in seconds, after so many restarts without a stable run.

        A delay of 0 stands for one start without a pause: a loop of starts must not keep the system busy.
        """
        if self.delay_seconds == 0 and restarts == 0:
            return 0.0
        doublings = restarts if self.delay_seconds else restarts - 1
        # Beyond these many doublings each pause is the longest.
        return float(min((self.delay_seconds or 1) << min(doublings, 20), self.delay_max_seconds))


class RestartCounts:
    """Count restarts and failed starts, for the pause before the next restart and for the limits."""

    def __init__(self) -> None:
        self.failed_starts = 0  # in a row
        self.since_stable = 0  # restarts since the last stable run, or the last start on request

    def reset(self) -> None:
        """Begin again with the shortest pause, after a stable run or on request."""
        self.failed_starts = 0
        self.since_stable = 0

    def next_pause(self, policy: RestartPolicy) -> float:
        """Return the pause before the next restart: the policy's, and up to a tenth more."""
        return policy.pause(self.since_stable) * (1 + _JITTER * random.random())  # noqa: S311

    def has_failed_starts(self, policy: RestartPolicy) -> bool:
        """Return whether starts have failed too often in a row."""
        return policy.start_retries is not None and self.failed_starts > policy.start_retries

    def has_reached_limit(self, policy: RestartPolicy) -> bool:
        """Return whether there have been as many restarts without a stable run as there may be."""
        return policy.limit is not None and self.since_stable >= policy.limit
