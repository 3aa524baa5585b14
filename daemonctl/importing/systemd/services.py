"""systemd's services, by the rules of systemd 252."""

import math
import pwd
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from daemonctl.importing.program import Imported, ImportedProgram, Wishes
from daemonctl.importing.systemd import policy, resources
from daemonctl.importing.systemd.executions import Execution
from daemonctl.importing.systemd.options import Options
from daemonctl.importing.systemd.units import Specifiers, Unit
from daemonctl.problems import Problem

_TYPES = ("simple", "exec", "forking", "oneshot", "dbus", "notify", "notify-reload", "idle")
_RELOAD_SIGNALS = (
    "TERM", "HUP", "INT", "QUIT", "USR1", "USR2", "ABRT", "ALRM", "CONT", "TSTP", "TTIN", "TTOU",
    "WINCH",
)  # fmt: skip
# Variables that a process gets without Environment=, from systemd as from the daemon.
_OF_MANAGER = {"HOME", "USER", "LOGNAME", "SHELL", "PATH"}
_LONGEST_COMMAND = 3600  # seconds
_MAX_COMMANDS = 16
_WITHOUT_COUNTERPART = {
    "ExecStop": "nothing is run to stop it: it gets stop_signal",
    "ExecStopPost": "nothing is run after its end",
    "ExecStartPost": "nothing is run after its start",
    "ExecCondition": "a command of before_start that fails is a failed start, not a start that is skipped",
    "RemainAfterExit": "it is exited when its process has ended; depends_on has the condition completed",
    "PIDFile": "the program's process is the one that was started",
    "BusName": "whether a bus name is taken is not looked at; see ready",
    "DynamicUser": "there are no users for the time of a run; make one",
    "RuntimeDirectory": "no folder is made and removed; before_start can make one that its user may make",
    "StateDirectory": "no folder is made; make it for the user",
    "CacheDirectory": "no folder is made; make it for the user",
    "LogsDirectory": "no folder is made; make it for the user",
    "ConfigurationDirectory": "no folder is made; make it for the user",
    "PassEnvironment": "DAEMON_PASS_ENVIRONMENT passes variables on, to all programs",
    "UnsetEnvironment": "programs have only the variables that are named",
    "RootDirectory": "programs are not confined to a folder",
    "TTYPath": "terminal_id gives it a terminal",
    "RestartForceExitStatus": "exit_codes and autorestart decide alone",
    "SendSIGKILL": "what is left after stop_grace_seconds is always killed",
    "Sockets": "sockets are not opened for programs",
}
_OF_SERVICE = {
    "Type", "ExecStart", "ExecStartPre", "ExecReload", "User", "Group", "WorkingDirectory",
    "Environment", "EnvironmentFile", "Restart", "RestartSec", "RestartMaxDelaySec",
    "RestartPreventExitStatus", "SuccessExitStatus", "KillSignal", "KillMode", "TimeoutStopSec",
    "TimeoutStartSec", "TimeoutSec", "WatchdogSec", "RuntimeMaxSec", "MemoryMax", "MemoryLimit",
    "UMask", "Nice", "StandardOutput", "StandardError", "StandardInput", "NotifyAccess",
    "StartLimitBurst", "StartLimitInterval", "SyslogIdentifier", "GuessMainPID", *resources.LIMITS,
}  # fmt: skip
_OF_UNIT = {
    "Description", "Documentation", "After", "Before", "Requires", "Wants", "BindsTo", "Requisite",
    "StartLimitBurst", "StartLimitIntervalSec", "StartLimitInterval", "DefaultDependencies",
}  # fmt: skip


def read(files: Sequence[Path], wishes: Wishes) -> Imported:
    """Return the programs of some services, which depend on each other as their units do."""
    imported = Imported()
    imported.note(
        "systemd does not count an end by SIGHUP, SIGINT, SIGTERM or SIGPIPE as a failure; here the end by a "
        "signal always is one"
    )
    services = [_Service(Unit(file), wishes) for file in files]
    for service in services:
        imported.add(service.program(), str(service.unit.file))
    for service in services:
        service.depend_on(services)
    return imported


class _Service:
    """Converts a service."""

    def __init__(self, unit: Unit, wishes: Wishes) -> None:
        self.unit = unit
        # Services of the system run as root, those of a user as that user.
        self.is_of_user = "/systemd/user" in str(unit.file.absolute())
        manager = wishes.default_user if self.is_of_user else "root"
        self.default_user = wishes.user or manager
        specifiers = Specifiers(unit, manager, _home_of(manager) or f"/home/{manager}")
        self.options = Options(unit, specifiers)
        self.result = ImportedProgram({"name": unit.name})
        self.type = self.options.one_of("Type", _TYPES, "simple")
        self.environment = self.options.environment()
        self.env_files = self.options.texts("EnvironmentFile")

    def program(self) -> ImportedProgram:
        """Return the program."""
        unit, fields, program = self.unit, self.result.fields, self.result
        fields["description"] = self.options.text("Description", section="Unit")[:500]
        self._set_commands()
        program.set_user(self.options.text("User") or self.default_user)
        if self.options.text("Group") not in ("", fields["user"]):
            program.note(f"Group={self.options.text('Group')}: it has the groups of its user", "user")
        self._set_directory()
        program.set_environment(self.environment)
        self._set_env_files()
        fields["boot"] = any(unit.values("Install", key) for key in ("WantedBy", "RequiredBy"))
        policy.set_restarts(self.options, program)
        policy.set_stop(self.options, program)
        self._set_probes()
        resources.set_resources(self.options, program)
        resources.set_output(self.options, program)
        self._note_the_rest()
        return program

    def depend_on(self, services: Sequence["_Service"]) -> None:
        """Have the program wait for those of the other services that its unit is ordered after."""
        others = {other.unit.full_name: other for other in services if other is not self}
        after = self._units("After")
        wanted = [
            *self._units("Requires"),
            *self._units("Wants"),
            *self._units("BindsTo"),
            *self._units("Requisite"),
        ]
        found = []
        for name, other in others.items():
            if name not in after and self.unit.full_name not in other._units("Before"):
                if name in wanted:
                    self.result.note(
                        f"{other.unit.name} is wanted, but not waited for: there is no After={name}"
                    )
                continue
            condition = {"oneshot": "completed", "notify": "ready", "notify-reload": "ready"}.get(other.type)
            found.append({"program": other.unit.name, "condition": condition or "started"})
            if name not in wanted or not other.result.fields["boot"]:
                self.result.note(
                    f"It waits for {other.unit.name}, but does not start it: start it, or give it boot",
                    "depends_on",
                )
        if found:
            self.result.fields["depends_on"] = found
        missing = [name for name in dict.fromkeys([*after, *wanted]) if name not in others]
        if missing:
            self.result.note(f"Not imported, so neither waited for nor started: {', '.join(missing)}")

    def _units(self, option: str) -> list[str]:
        return [word for text in self.options.texts(option, "Unit") for word in text.split()]

    def _set_commands(self) -> None:
        fields, program, unit = self.result.fields, self.result, self.unit
        starts = self.options.executions("ExecStart")
        if not starts:
            raise Problem(f"{unit.file} has no ExecStart")
        if len(starts) > 1 and self.type != "oneshot":
            raise Problem(f"{starts[1].where}: only Type=oneshot can have several commands")
        before = [
            (each, self.options.seconds("TimeoutStartSec", 90))
            for each in self.options.executions("ExecStartPre")
        ]
        before += [(each, math.inf) for each in starts[:-1]]
        if before:
            if len(before) > _MAX_COMMANDS:
                raise Problem(
                    f"{before[-1][0].where}: there are more than {_MAX_COMMANDS} commands before the start"
                )
            fields["before_start"] = [self._before_start(each, timeout) for each, timeout in before]
        main = starts[-1]
        fields["command"] = self._line(main, "command")
        if main.may_fail:
            program.note("ExecStart=-…: only exit_codes say which ends are successful", "exit_codes")
        if self.type == "forking":
            program.note(
                "Type=forking: what the command leaves in the background is ended with it. Have it stay in "
                "the foreground",
                "command",
            )
        for each in self.options.executions("ExecReload"):
            signal = each.signal_to_main
            if "reload" in fields:
                program.note("Only the first ExecReload is used", "reload")
            elif signal in _RELOAD_SIGNALS:
                fields["reload"] = {"signal": signal}
            else:
                fields["reload"] = {"command": each.line(self.environment, is_known=False)}
        if self.type == "notify-reload":
            fields.setdefault("reload", {"signal": "HUP"})

    def _before_start(self, execution: Execution, timeout: float) -> dict[str, Any]:
        line = self._line(execution, "before_start")
        if execution.may_fail:
            line = f"sh -c '\"$@\" || :' sh {line}"
        return {"command": line, "timeout": math.ceil(min(max(timeout, 1), _LONGEST_COMMAND))}

    def _line(self, execution: Execution, field: str) -> str:
        if execution.is_privileged:
            self.result.note(
                f"{execution.words[0]} runs as the program's user; its prefix is {execution.prefixes}", field
            )
        is_known = not self.env_files and not execution.variables & _OF_MANAGER
        if is_known and execution.variables:
            self.result.note("The variables in it have their values of Environment=", field)
        return execution.line(self.environment, is_known=is_known)

    def _set_env_files(self) -> None:
        if not self.env_files:
            return
        self.result.fields["env_file"] = self.env_files
        if self.environment:
            self.result.note("environment wins over it; with systemd it is the other way round", "env_file")
        if any(sign in file for file in self.env_files for sign in "*?["):
            self.result.note("A file is named as it is, without wildcards", "env_file")

    def _set_directory(self) -> None:
        directory = self.options.text("WorkingDirectory", "~" if self.is_of_user else "/")
        path = directory.removeprefix("-")
        if path != directory:
            self.result.note("It must exist", "directory")
        if path != "~":  # which is the default
            self.result.fields["directory"] = path

    def _set_probes(self) -> None:
        if self.type in ("notify", "notify-reload"):
            self.result.fields["ready"] = {"notify": True}
            if self.options.values("TimeoutStartSec"):
                self.result.note("TimeoutStartSec: a program that is not ready is not ended", "ready")
        watchdog = self.options.seconds("WatchdogSec", 0)
        if watchdog and not math.isinf(watchdog):
            interval = min(max(math.ceil(watchdog), 1), 3600)
            self.result.fields["health"] = {"notify": True, "interval": interval, "failures": 1}
            if interval != watchdog:
                self.result.note(
                    f"WatchdogSec={self.options.text('WatchdogSec')}: in whole seconds", "health"
                )

    def _note_the_rest(self) -> None:
        program, unit = self.result, self.unit
        for option, sentence in _WITHOUT_COUNTERPART.items():
            if unit.values("Service", option) and option != "ExecStop":
                program.note(f"{option}: {sentence}")
        known = _OF_SERVICE | _WITHOUT_COUNTERPART.keys()
        lacking = [
            name for name in unit.options("Service") if name not in known and unit.values("Service", name)
        ]
        lacking += [
            name for name in unit.options("Unit") if name not in _OF_UNIT and unit.values("Unit", name)
        ]
        program.lacks(*(name for name in lacking if not name.startswith("X-")))


def _home_of(user: str) -> str | None:
    try:
        return pwd.getpwnam(user).pw_dir
    except KeyError:
        return None
