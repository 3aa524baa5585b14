"""The part of a process that is about its probes: whether its run is ready, and whether it is healthy."""

from supervisor.states import ProcessStates

from daemon_programs.supervisor.plugin.programs.configuration import ProgramConfig
from daemon_programs.supervisor.plugin.programs.runs.observation import Observation
from daemon_programs.supervisor.plugin.programs.runs.preparation import PreparedRun
from daemon_programs.supervisor.probes import RESTART
from daemon_programs.supervisor.states import ProcessState

UNHEALTHY = "unhealthy"  # why a process is restarted: see `daemon_programs.actors`


class ProbedRun(PreparedRun):
    """Has each run probed, if its program says how, and acts on what is found."""

    config: ProgramConfig
    killing: bool
    observation: Observation | None = None  # of a run that is probed

    def reconfigure(self, config: ProgramConfig) -> None:
        """Take a configuration with which a run can go on."""
        previous, self.config = self.config, config
        if (previous.ready, previous.health) != (config.ready, config.health):
            self._end_observation()
            if self.has_own_process and not self.killing:
                self._observe()

    @property
    def is_ready(self) -> bool:
        """Whether it runs and is ready; without a probe, running is enough."""
        is_ready = self.config.ready is None or (self.observation is not None and self.observation.is_ready)
        return bool(self.state == ProcessStates.RUNNING and is_ready)

    def restart_because(self, reason: str, *, is_planned: bool = False) -> None:
        """Stop what runs, and start it again without a request."""
        raise NotImplementedError

    def _observe(self) -> None:
        """Have the run probed, if there are probes."""
        config = self.config
        if config.ready or config.health:
            group = self.group
            self.observation = Observation(
                config, group.config.name, self.claim, group.wake, self._take_finding
            )

    def _end_observation(self) -> None:
        if self.observation is not None:
            self.observation.end()
            self.observation = None

    def _take_finding(self) -> None:
        found = self.observation
        if found is None:
            return
        self.group.announce()
        self.context.announce_settled(self.group.config.name)
        if found.is_healthy is False and self.config.health and self.config.health.action == RESTART:
            self.config.options.logger.info(f"unhealthy: '{self.namespec}' ({found.unhealthy_because})")
            self.restart_because(UNHEALTHY)

    def _add_findings(self, shown: ProcessState) -> None:
        """Add what was found about the present run to what is reported."""
        found = self.observation
        if self.config.ready is not None:
            shown["ready"] = self.is_ready
            if found and found.not_ready_because and not found.is_ready:
                shown["not_ready_because"] = found.not_ready_because
        if found and found.told:
            shown["told"] = found.told
        if found and found.is_healthy is not None:
            shown["healthy"] = found.is_healthy
            if not found.is_healthy:
                shown["unhealthy_because"] = found.unhealthy_because
