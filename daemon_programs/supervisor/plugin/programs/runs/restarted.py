"""The part of a process that is about its restarts: counted, paused, and given up."""

import time
from typing import Any

from supervisor.states import ProcessStates

from daemon_programs.supervisor.plugin.programs.backoff import RestartCounts, RestartPolicy
from daemon_programs.supervisor.plugin.programs.configuration import ProgramConfig
from daemon_programs.supervisor.plugin.programs.runs.probed import ProbedRun
from daemon_programs.supervisor.states import LastRun


class RestartedRun(ProbedRun):
    """Waits between two runs as the policy says, or gives up."""

    # Deadlines use the monotonic clock, so that setting the system's time can't delay them.
    launched_at = 0.0
    retry_at = 0.0
    restarts = 0  # automatic restarts so far
    last_run: LastRun | None = None
    spawnerr: str | None

    def __init__(self, config: ProgramConfig, group: Any) -> None:
        super().__init__(config, group)
        self.counts = RestartCounts()

    @property
    def _policy(self) -> RestartPolicy:
        return self.config.restart_policy

    def _pause(self) -> None:
        """Wait in BACKOFF for the next start, or give up if there have been too many."""
        if self.counts.has_reached_limit(self._policy):
            self._record_limit()
            self.change_state(ProcessStates.FATAL)
            return
        self.retry_at = time.monotonic() + self.counts.next_pause(self._policy)
        self.change_state(ProcessStates.BACKOFF)
        self.context.wakeup.at(self.retry_at)

    def _record_limit(self) -> None:
        """Keep why there is no further restart, beside how the last run ended."""
        self.spawnerr = (
            f"it has reached its restart_limit of {self._policy.limit} "
            f"without a run of stable_seconds ({self._policy.stable_seconds})"
        )
        if self.last_run:  # a new one: the journal holds that of the changes before
            self.last_run = {**self.last_run, "error": self.spawnerr}

    def _count_run(self, now: float) -> None:
        """Set counters back, at the end of a run that was not a failed start."""
        self.counts.failed_starts = 0
        if self._is_stable(now):
            self.counts.reset()

    def _is_stable(self, now: float) -> bool:
        """Return whether the present run has been going on for long enough."""
        return now - self.launched_at >= self._policy.stable_seconds

    @property
    def is_in_pause(self) -> bool:
        """Whether it is down until its next start."""
        return bool(self.state == ProcessStates.BACKOFF)

    @property
    def _runs_stably(self) -> bool:
        return self.state == ProcessStates.RUNNING and self._is_stable(time.monotonic())
