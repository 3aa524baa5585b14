"""Read program files into the configuration objects that supervisord uses.

There is one JSON file per program, in the format of ``supervisor.spec``. What to run is data (an argument
list, a map of environment variables), so nothing is parsed, split or expanded: supervisord's INI syntax,
its ``%(ENV_x)s`` and its comments have no meaning here.
"""

import json
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from supervisor import events
from supervisor.datatypes import RestartUnconditionally, RestartWhenExitUnexpected
from supervisor.options import ProcessConfig, ProcessGroupConfig

from daemon_programs.supervisor.filesystem import search_path
from daemon_programs.supervisor.instances import Key, keys_of
from daemon_programs.supervisor.plugin.context import Context
from daemon_programs.supervisor.plugin.io import terminal
from daemon_programs.supervisor.plugin.io.input import ProgramInput
from daemon_programs.supervisor.plugin.io.output import ProgramOutput
from daemon_programs.supervisor.plugin.io.pipes import make_pipes
from daemon_programs.supervisor.plugin.programs import steps
from daemon_programs.supervisor.plugin.programs.backoff import RestartPolicy
from daemon_programs.supervisor.probes import Probe
from daemon_programs.supervisor.processes import signals
from daemon_programs.supervisor.spec import DEFAULTS, digest_of, runs_the_same

AUTORESTART = {
    "true": RestartUnconditionally,
    "false": False,
    "unexpected": RestartWhenExitUnexpected,
}

_OUTPUT_EVENTS = {
    "stdout": events.ProcessCommunicationStdoutEvent,
    "stderr": events.ProcessCommunicationStderrEvent,
}

_NUMBERS = (
    *("priority", "nice", "delay_seconds", "stop_grace_seconds", "log_max_bytes", "log_backups"),
    *("start_seconds", "restart_delay_seconds", "restart_delay_max_seconds", "stable_seconds", "numprocs"),
)
_NUMBERS_OR_NONE = ("start_retries", "restart_limit", "max_runtime_seconds")

# Creates the group of a configuration. Passed in, so that this module needs no import of groups.
GroupFactory = Callable[["ProgramGroupConfig"], Any]


class ProgramConfig(ProcessConfig):
    """The configuration of one process. Compared by identity, since groups compare specifications."""

    def __init__(self, context: Context, spec: dict[str, Any], key: Key | None) -> None:
        def of_key(text: str) -> str:
            return text if key is None else key.fill(text)

        self.context = context
        self.argv = [of_key(argument) for argument in spec["argv"]]
        self.variables = dict(spec["environment"])
        if key is not None:
            self.variables.setdefault(key.kind.variable, str(key.value))
        self.env_files: list[str] = spec["env_files"]
        self.user: str = spec["user"]
        self.nice: int = spec["nice"]
        self.limits: dict[str, int | str] = spec["limits"]
        self.log_timestamps: bool = spec["log_timestamps"]
        self.delay_seconds: int = spec["delay_seconds"]
        self.max_runtime_seconds: int | None = spec["max_runtime_seconds"]
        self.restart_policy = RestartPolicy(
            start_retries=spec["start_retries"],
            delay_seconds=spec["restart_delay_seconds"],
            delay_max_seconds=spec["restart_delay_max_seconds"],
            stable_seconds=spec["stable_seconds"],
            limit=spec["restart_limit"],
        )
        self.before_start = steps.read(spec["before_start"], of_key)
        self.memory_limit_bytes: int | None = spec["memory_limit_bytes"]
        self.takes_input: bool = spec["stdin"] == "pipe"
        self.ready = _probe(spec["ready"], key)
        self.health = _probe(spec["health"], key)
        self.terminal: bool = spec["terminal"]
        self.private_folder: str | None = spec["private_folder"]
        self.stop_scope: str = spec["stop_scope"]
        reload = spec["reload"] or {}
        self.reload_signal: str | None = reload.get("signal")
        self.reload_argv = [of_key(argument) for argument in reload.get("argv", [])]
        stdout = spec["stdout"] and of_key(spec["stdout"])
        stderr = spec["stderr"] and of_key(spec["stderr"])
        super().__init__(
            context.options,
            name=spec["group"] if key is None else key.process,
            uid=None,  # the child drops privileges itself, and also sets the user's HOME
            command=shlex.join(self.argv),
            directory=spec["directory"],
            umask=int(spec["umask"], 8),
            priority=spec["priority"],
            autostart=False,  # the group starts its processes; supervisord would do so after an edit too
            autorestart=AUTORESTART[spec["autorestart"]],
            startsecs=spec["start_seconds"],
            startretries=spec["start_retries"],
            stdout_logfile=stdout,
            stdout_capture_maxbytes=0,
            stdout_events_enabled=False,
            stdout_syslog=False,
            stdout_logfile_backups=spec["log_backups"],
            stdout_logfile_maxbytes=spec["log_max_bytes"],
            stderr_logfile=stderr,
            stderr_capture_maxbytes=0,
            stderr_events_enabled=False,
            stderr_syslog=False,
            stderr_logfile_backups=spec["log_backups"],
            stderr_logfile_maxbytes=spec["log_max_bytes"],
            stopsignal=signals.number_of(spec["stop_signal"]),
            stopwaitsecs=spec["stop_grace_seconds"],
            stopasgroup=True,
            killasgroup=True,
            exitcodes=spec["exit_codes"],
            # Two handlers on one file would each rotate it without the other's knowledge.
            redirect_stderr=spec["redirect_stderr"]
            or self.terminal
            or (stdout is not None and stdout == stderr),
            environment=None,
        )

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = None  # type: ignore[assignment]

    @property
    def notifies(self) -> bool:
        """Whether the program tells by sd_notify that it is ready or healthy."""
        return any(probe is not None and probe.kind == "notify" for probe in (self.ready, self.health))

    @property
    def watchdog_seconds(self) -> int | None:
        """How often the program is to tell that it is healthy; None if it need not."""
        return self.health.interval if self.health is not None and self.health.kind == "notify" else None

    def get_path(self) -> list[str]:
        """Return the folders in which a command without a slash is looked up: the program's own PATH."""
        path = self.variables.get("PATH") or search_path.inherited(self.user)
        return path.split(os.pathsep)

    def make_dispatchers(self, proc: Any) -> tuple[dict[int, Any], dict[str, int | None]]:
        """Return what reads and writes for the program by descriptor, and all descriptors by name.

        Raise OSError if the logs can't be opened; nothing stays open then.
        """
        with_stderr = not self.redirect_stderr
        if self.terminal:
            pipes = terminal.make_pipes()
        else:
            pipes = make_pipes(with_stderr=with_stderr, with_stdin=self.takes_input)
        dispatchers: dict[int, Any] = {}
        try:
            for channel, event in _OUTPUT_EVENTS.items():
                if (descriptor := pipes[channel]) is not None:
                    dispatchers[descriptor] = ProgramOutput(proc, event, descriptor)
            if (descriptor := pipes["stdin"]) is not None:
                dispatchers[descriptor] = ProgramInput(proc, descriptor)
        except OSError:
            for dispatcher in dispatchers.values():
                dispatcher.close()
            self.options.close_parent_pipes(pipes)
            self.options.close_child_pipes(pipes)
            raise
        return dispatchers, pipes


class ProgramGroupConfig(ProcessGroupConfig):
    """The configuration of a program: a group of one process, or of one per key."""

    def __init__(
        self, context: Context, spec: dict[str, Any], digest: str, group_factory: GroupFactory
    ) -> None:
        self.context = context
        self.spec = spec
        self.digest = digest  # of the program's file
        keys = keys_of(spec["ports"], spec["numprocs"])
        super().__init__(
            context.options,
            spec["group"],
            spec["priority"],
            [ProgramConfig(context, spec, key) for key in keys or (None,)],
        )
        self._group_factory = group_factory

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ProgramGroupConfig) and self.spec == other.spec

    __hash__ = None  # type: ignore[assignment]

    def runs_the_same(self, other: "ProgramGroupConfig") -> bool:
        """Return whether a running process can go on with the other configuration."""
        return runs_the_same(self.spec, other.spec)

    def make_group(self) -> Any:
        """Return a new group with this configuration. Called by supervisord."""
        return self._group_factory(self)


def _probe(document: dict[str, Any] | None, key: Key | None) -> Probe | None:
    return None if document is None else Probe.of(document, key)


def read(context: Context, file: Path, group_factory: GroupFactory) -> ProgramGroupConfig:
    """Return the configuration in a program's file.

    Raise OSError if there is no such file, and ValueError or KeyError if it is not in the format of ``spec``.
    """
    text = file.read_bytes()
    spec = {**DEFAULTS, **json.loads(text)}  # the file may be of a version that had fewer keys
    if spec["group"] != file.stem:
        raise ValueError(f"{file.name} describes the group {spec['group']!r}")
    _check_types(spec)
    return ProgramGroupConfig(context, spec, digest_of(text), group_factory)


def _check_types(spec: dict[str, Any]) -> None:
    """Raise ValueError for a value of the wrong type, with which supervisord itself would crash."""
    texts = [*spec["argv"], *spec["environment"], *spec["environment"].values(), spec["user"]]
    texts += [spec["umask"], *spec["env_files"]]
    steps.check_types(spec["before_start"])
    numbers = [spec[name] for name in _NUMBERS]
    numbers += [spec[name] for name in _NUMBERS_OR_NONE if spec[name] is not None]
    numbers += spec["exit_codes"]
    if not spec["argv"] or not all(type(text) is str for text in texts):
        raise ValueError(f"{spec['group']} has arguments, an environment or a user that are no text")
    if spec["stop_signal"] not in signals.STOP_SIGNALS or spec["stop_scope"] not in signals.SCOPES:
        raise ValueError(f"{spec['group']} has a stop signal or a scope of it that is not known")
    _check_reload(spec)
    if spec["memory_limit_bytes"] is not None:
        numbers.append(spec["memory_limit_bytes"])
    if not all(type(number) is int for number in numbers):
        names = ", ".join((*_NUMBERS, *_NUMBERS_OR_NONE, "exit_codes"))
        raise ValueError(f"{spec['group']} needs an integer for each of {names}")


def _check_reload(spec: dict[str, Any]) -> None:
    reload = spec["reload"]
    if reload is None:
        return
    what: dict[str, Any] = dict(reload)
    signal, argv = what.pop("signal", None), what.pop("argv", [])
    is_signal = signal in signals.RELOAD_SIGNALS and not argv
    is_command = signal is None and bool(argv) and all(type(each) is str for each in argv)
    if what or not (is_signal or is_command):
        raise ValueError(f"{spec['group']} has a reload that is neither a signal nor a command")
