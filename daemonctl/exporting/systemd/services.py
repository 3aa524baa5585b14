"""A service for each program, or a template for its instances."""

import os.path
import shlex
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from daemonctl.exporting.program import Exported, ExportedProgram, File, is_secret
from daemonctl.exporting.systemd.quoting import command_line, environment_file, unit_name, value, word
from daemonctl.problems import Problem

_RESTARTS = {"true": "always", "unexpected": "on-failure", "false": "no"}
# Ends by these are failures to the daemon, and none to systemd.
_HARMLESS_SIGNALS = "SIGHUP SIGINT SIGTERM SIGPIPE"
_LIMITS = {
    "nofile": "LimitNOFILE",
    "nproc": "LimitNPROC",
    "core": "LimitCORE",
    "as": "LimitAS",
    "cpu": "LimitCPU",
    "fsize": "LimitFSIZE",
    "stack": "LimitSTACK",
    "memlock": "LimitMEMLOCK",
}
_COMMAND_SECONDS = 60  # of a command of before_start
_MAX_NAME = 255  # bytes of a unit's name
_HEAD = (
    "Pauses between restarts don't grow, and a run that fails at once is restarted like any other.",
    "PATH is that of systemd.",
)
_INSTANCE = "%i"
_PREFIXES = tuple("-@:+!|")  # of a command, with a meaning of their own


def write(programs: Sequence[Mapping[str, Any]], folder: Path) -> Exported:
    """Return the services of some programs, which order each other if they depend on each other."""
    exported = Exported()
    made = [ExportedProgram(document) for document in programs]
    single = {program.name for program in made if program.placeholder is None}
    for program in made:
        service = _Service(program, folder, single)
        exported.files += service.files()
        exported.notes += [f"{service.program.name}: {note}" for note in service.program.notes]
    return exported


class _Service:
    """Makes the unit of a program."""

    def __init__(self, program: ExportedProgram, folder: Path, others: set[str]) -> None:
        self.program = program
        self.folder = folder
        self.others = others
        self.name = unit_name(program.name)
        if len(f"{self.name}@65535.service") > _MAX_NAME:
            raise Problem(f"'{program.name}' is too long for the name of a unit")
        self.has_instances = program.placeholder is not None
        self.directory = program.take("directory")

    def files(self) -> list[File]:
        """Return the unit, and the file of its secrets if it has any."""
        secrets, environment = self._environment()
        unit, service, install = (
            self._unit(),
            [
                *self._commands(),
                f"User={value(self.program.user)}",
                self._directory(),
                *environment,
                *self._restarts(),
                *self._stop(),
                *self._resources(),
                *self._output(),
            ],
            self._install(),
        )
        self._note_probes()
        self.program.note_the_rest()
        comments = [line for note in (*_HEAD, *self.program.notes) for line in _comment(note)]
        sections = [comments, ["[Unit]", *unit], ["[Service]", *service]]
        if install:
            sections.append(["[Install]", *install])
        text = "\n\n".join("\n".join(lines) for lines in sections) + "\n"
        made = [File(f"{self.name}{'@' if self.has_instances else ''}.service", text)]
        if secrets:
            made.append(File(f"{self.name}.env", environment_file(secrets), is_secret=True))
        return made

    def _filled(self, text: str) -> str:
        """Return a text with what stands for the key of an instance; it has no other specifiers."""
        return text.replace(self.program.placeholder, _INSTANCE) if self.program.placeholder else text

    def _line(self, arguments: Sequence[str]) -> str:
        first, *others = arguments
        if "/" in first and not first.startswith("/"):
            if self.directory:
                first = os.path.normpath(f"{self.directory}/{first}")
            else:
                self.program.note(f"{first} must be an absolute path")
        if first.startswith(_PREFIXES):
            first, others = "/usr/bin/env", ["--", first, *others]
        return self._filled(command_line([first, *others]))

    def _unit(self) -> list[str]:
        program = self.program
        lines = [f"Description={value(program.description)}".rstrip("\\")]
        for each in program.take("depends_on") or []:
            if each["program"] in self.others:
                unit = f"{unit_name(each['program'])}.service"
                lines += [f"Wants={unit}", f"After={unit}"]
            if each.get("condition", "started") != "started" or each["program"] not in self.others:
                program.note(f"It waited for '{each['program']}' to be {each.get('condition', 'started')}")
        limit = program.take("restart_limit")
        stable = program.take("stable_seconds")
        if limit is None:
            return [*lines, "StartLimitIntervalSec=0"]
        # As many starts within a time in which each run would have been too short to count as stable.
        return [*lines, f"StartLimitIntervalSec={stable * (limit + 1)}", f"StartLimitBurst={limit + 1}"]

    def _commands(self) -> list[str]:
        program = self.program
        ready = program.take("ready")
        notifies = bool(ready and ready.get("notify"))
        lines = ["Type=notify", "NotifyAccess=all"] if notifies else ["Type=exec"]
        before = [
            each if isinstance(each, dict) else {"command": each} for each in program.take("before_start")
        ]
        delay = program.take("delay_seconds", 0)
        if delay:
            before.insert(0, {"command": f"sleep {delay}", "timeout": delay + _COMMAND_SECONDS})
        lines += [f"ExecStartPre={self._line(shlex.split(each['command']))}" for each in before]
        if before:
            longest = max(each.get("timeout", _COMMAND_SECONDS) for each in before)
            lines.append(f"TimeoutStartSec={longest}")
        lines.append(f"ExecStart={self._line(program.command())}")
        reload = program.take("reload")
        if reload and "signal" in reload:
            lines.append(f"ExecReload=/bin/kill -{reload['signal']} $MAINPID")
        elif reload:
            lines.append(f"ExecReload={self._line(shlex.split(reload['command']))}")
        return lines

    def _directory(self) -> str:
        if self.directory and not self.directory.endswith("\\"):
            return f"WorkingDirectory={value(self.directory)}"
        if self.directory:
            self.program.note(f"Its folder can't be written in a unit: {self.directory}")
        return "WorkingDirectory=~"

    def _environment(self) -> tuple[dict[str, str], list[str]]:
        """Return the variables for a file of its own, and the lines of all of them."""
        program = self.program
        variables = program.environment()
        env_files = program.take("env_file") or []
        env_files = [env_files] if isinstance(env_files, str) else env_files
        # A file of variables wins over Environment=, and the last one wins over others.
        secrets = {name: text for name, text in variables.items() if env_files or is_secret(name, text)}
        lines = [
            f"Environment={word(f'{name}={text}')}" for name, text in variables.items() if name not in secrets
        ]
        if self.has_instances:
            lines.append(f"Environment={program.key_variable}={_INSTANCE}")
        lines += [f"EnvironmentFile={value(path)}" for path in env_files]
        if secrets:
            lines.append(f"EnvironmentFile={value(str(self.folder / f'{self.name}.env'))}")
        return secrets, lines

    def _restarts(self) -> list[str]:
        program = self.program
        autorestart = program.take("autorestart")
        lines = [f"Restart={_RESTARTS[autorestart]}"]
        if autorestart == "unexpected":
            lines.append(f"RestartForceExitStatus={_HARMLESS_SIGNALS}")
        codes = program.take("exit_codes")
        if others := [str(code) for code in codes if code]:
            lines.append(f"SuccessExitStatus={' '.join(others)}")
        if 0 not in codes:
            program.note("Its end with 0 is a success to systemd")
        if autorestart != "false":
            lines.append(f"RestartSec={program.take('restart_delay_seconds')}")
        if longest := program.take("max_runtime_seconds"):
            lines.append(f"RuntimeMaxSec={longest}")
        return lines

    def _stop(self) -> list[str]:
        program = self.program
        grace = program.take("stop_grace_seconds")
        signal = program.take("stop_signal") if grace else "KILL"
        scope = program.take("stop_scope")
        lines = [f"KillSignal=SIG{signal}", f"KillMode={'control-group' if scope == 'tree' else 'mixed'}"]
        return [*lines, f"TimeoutStopSec={grace}"] if grace else lines  # to systemd, 0 is without end

    def _resources(self) -> list[str]:
        program = self.program
        lines = []
        if memory := program.take("memory_limit_bytes"):
            lines.append(f"MemoryMax={memory}")
            program.note("MemoryMax: the kernel ends a process at once, without a grace period")
        if (umask := program.take("umask")) != "022":
            lines.append(f"UMask=0{umask}")
        if nice := program.take("nice"):
            lines.append(f"Nice={nice}")
        for name, limit in program.take("limits").items():
            lines.append(f"{_LIMITS[name]}={'infinity' if limit == 'unlimited' else limit}")
        return lines

    def _output(self) -> list[str]:
        program = self.program
        output, errors = program.take("stdout_logfile"), program.take("stderr_logfile")
        is_one = program.take("redirect_stderr")
        if not program.take("logs_enabled"):
            return ["StandardOutput=null", "StandardError=null"]
        lines = []
        if output:
            lines.append(f"StandardOutput=append:{self._filled(value(output))}")
        if is_one:
            lines.append("StandardError=inherit")
        elif errors:
            lines.append(f"StandardError=append:{self._filled(value(errors))}")
        if output or (errors and not is_one):
            program.note("Its log files are not rotated: see logrotate")
        return lines

    def _note_probes(self) -> None:
        program = self.program
        ready, health = program.take("ready"), program.take("health")
        if (ready and not ready.get("notify")) or program.take("ready_port"):
            program.note("Whether it is ready is not looked at")
        if health:
            program.note(
                "Whether it is healthy is not looked at: systemd has WatchdogSec for programs that notify"
            )

    def _install(self) -> list[str]:
        program = self.program
        if self.has_instances:
            keys = program.keys
            program.note(
                f"Its instances are {self.name}@{keys[0]}.service to {self.name}@{keys[-1]}.service: "
                f"systemctl enable --now {shlex.quote(self.name)}@{{{keys[0]}..{keys[-1]}}}.service"
            )
        return ["WantedBy=multi-user.target"] if program.take("boot") else []


def _comment(text: str) -> list[str]:
    return textwrap.wrap(
        " ".join(text.split()).rstrip("\\"),
        100,
        initial_indent="# ",
        subsequent_indent="#   ",
        break_long_words=False,
        break_on_hyphens=False,
    )
