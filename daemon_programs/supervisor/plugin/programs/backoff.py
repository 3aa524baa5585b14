"""The pauses between restarts, and how often a start may fail."""

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
STABLE_SECONDS = 60.0  # a run of this length sets the pause back


class Backoff:
    """Doubles the pause after each run that was not stable, whatever its length."""

    def __init__(self) -> None:
        self._pause = FIRST_PAUSE_SECONDS
        self.failed_starts = 0  # in a row

    def reset(self) -> None:
        """Begin again with the shortest pause, after a stable run or on request."""
        self._pause = FIRST_PAUSE_SECONDS
        self.failed_starts = 0

    def next_pause(self, ran_for: float) -> float:
        """Return the pause, in seconds, after a run that took so many seconds."""
        if ran_for >= STABLE_SECONDS:
            self._pause = FIRST_PAUSE_SECONDS
        pause = self._pause
        self._pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
        return pause
