"""What probes have found about one run of a process: whether it is ready, and whether it is healthy."""

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from daemon_programs.supervisor.plugin import accounts
from daemon_programs.supervisor.plugin.programs import launch
from daemon_programs.supervisor.plugin.programs.configuration import ProgramConfig
from daemon_programs.supervisor.processes.marks import Claim

_MOST_CHARACTERS_TOLD = 200
_MOST_BYTES_KEPT = 64 * 1024  # of the output that the prober has not seen, or may have to see again


class Observation:
    """The findings about a run; calls ``on_change`` for each that changes something.

    ``wake`` is called before for each that changes what is reported.
    """

    def __init__(
        self,
        config: ProgramConfig,
        group: str,
        claim: Claim | None,
        wake: Callable[[], None],
        on_change: Callable[[], None],
    ) -> None:
        self.is_ready = False
        self.is_healthy: bool | None = None  # None: not known yet
        self.not_ready_because = ""
        self.unhealthy_because = ""
        self._config = config
        self._group = group
        self._claim = claim
        self._wake = wake
        self._on_change = on_change
        self.told = ""  # by the run itself, about its status
        self._began = time.monotonic()
        self._beat_at = 0.0
        self._output: dict[str, bytearray] = {}  # by channel
        self._number = config.context.probing.watch(self)

    def end(self) -> None:
        """Stop it: the run is ending."""
        self._config.context.probing.end(self._number)

    @property
    def reads_output(self) -> bool:
        """Whether a line of the output is awaited."""
        ready = self._config.ready
        return ready is not None and ready.kind == "log" and not self.is_ready

    def take_output(self, channel: str, data: bytes) -> None:
        """Hand the prober what the run has printed, and keep it for one that is not there yet."""
        kept = self._output.setdefault(channel, bytearray())
        kept += data
        del kept[:-_MOST_BYTES_KEPT]
        self._config.context.probing.send_output(self._number, channel, data)

    def take_notice(self, notice: dict[str, str]) -> None:
        """Take what the run has told by sd_notify."""
        ready, watchdog_seconds = self._config.ready, self._config.watchdog_seconds
        if "STATUS" in notice:
            self._wake()
            self.told = notice["STATUS"][:_MOST_CHARACTERS_TOLD]
        if watchdog_seconds is not None and notice.get("WATCHDOG") == "1":
            now = time.monotonic()
            if now - self._beat_at >= watchdog_seconds / 4:  # more often is of no use to the prober
                self._beat_at = now
                self._config.context.probing.send_beat(self._number)
        if notice.get("READY") == "1" and ready is not None and ready.kind == "notify" and not self.is_ready:
            self._wake()
            self.is_ready = True
            self._on_change()

    def orders(self) -> dict[str, Any]:
        """Return what the prober needs to know: the probes, and who a command is run as."""
        ready = self._config.ready
        probes = {
            "ready": None if ready is not None and ready.kind == "notify" else ready,
            "health": self._config.health,
        }
        orders: dict[str, Any] = {
            "age": time.monotonic() - self._began,
            **{name: probe and asdict(probe) for name, probe in probes.items()},
        }
        if any(probe is not None and probe.kind == "command" for probe in probes.values()):
            with self._config.context.contained(f"{self._config.name} can't be probed"):
                orders["runs"] = self._runs()
        if self._output:
            orders["texts"] = {name: kept.decode("latin-1") for name, kept in self._output.items()}
        return orders

    def hear(self, finding: dict[str, Any]) -> None:
        """Take what the prober has found."""
        self._wake()
        before = self.is_ready, self.is_healthy
        why = str(finding.get("why", ""))
        if "ready" in finding:
            self.is_ready, self.not_ready_because = bool(finding["ready"]), why
            if self.is_ready:
                self._output.clear()
        if "healthy" in finding:
            self.is_healthy, self.unhealthy_because = bool(finding["healthy"]), why
        if (self.is_ready, self.is_healthy) != before:
            self._on_change()

    def _runs(self) -> dict[str, Any]:
        config = self._config
        account = accounts.account_of(config)
        return {
            "user": config.user,
            "directory": launch.directory_of(config),
            "inherited": launch.inherited_by(config, account),
            "env_files": config.env_files,
            "variables": launch.variables_of(config, self._group),
            "umask": config.umask,
            "nice": config.nice,
            "limits": config.limits,
            "mark": self._claim and list(self._claim.mark),
            "open_files": list(config.context.limits.open_files),
        }
