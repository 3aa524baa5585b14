"""systemd's services, by the rules of systemd 252."""

import math
import pwd
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from daemonctl.importing import durations
from daemonctl.importing.executions import Execution, executions
from daemonctl.importing.program import STOP_SIGNALS, Imported, ImportedProgram, Wishes
from daemonctl.importing.units import Specifiers, Unit, Value, words
from daemonctl.problems import Problem

_TYPES = ("simple", "exec", "forking", "oneshot", "dbus", "notify", "notify-reload", "idle")
_RESTARTS = {
    "no": "false",
    "always": "true",
    "on-failure": "unexpected",
    "on-abnormal": "unexpected",
    "on-abort": "unexpected",
    "on-watchdog": "unexpected",
    "on-success": "true",
}
_LIMITS = {
    "LimitNOFILE": "nofile",
    "LimitNPROC": "nproc",
    "LimitCORE": "core",
    "LimitAS": "as",
    "LimitCPU": "cpu",
    "LimitFSIZE": "fsize",
    "LimitSTACK": "stack",
    "LimitMEMLOCK": "memlock",
}
_LIMITS_OF_BYTES = ("core", "as", "fsize", "stack", "memlock")
_RELOAD_SIGNALS = (
    "TERM", "HUP", "INT", "QUIT", "USR1", "USR2", "ABRT", "ALRM", "CONT", "TSTP", "TTIN", "TTOU",
    "WINCH",
)  # fmt: skip
# Names of exit codes, from `man systemd.exec`, that units use.
_EXIT_CODES = {
    "SUCCESS": 0, "FAILURE": 1, "INVALIDARGUMENT": 2, "NOTIMPLEMENTED": 3, "NOPERMISSION": 4,
    "NOTINSTALLED": 5, "NOTCONFIGURED": 6, "NOTRUNNING": 7, "USAGE": 64, "DATAERR": 65, "NOINPUT": 66,
    "NOUSER": 67, "NOHOST": 68, "UNAVAILABLE": 69, "SOFTWARE": 70, "OSERR": 71, "OSFILE": 72,
    "CANTCREAT": 73, "IOERR": 74, "TEMPFAIL": 75, "PROTOCOL": 76, "NOPERM": 77, "CONFIG": 78,
}  # fmt: skip
# Variables that a process gets without Environment=, from systemd as from the daemon.
_OF_MANAGER = {"HOME", "USER", "LOGNAME", "SHELL", "PATH"}
_STOP_SECONDS, _RESTART_SECONDS = 90.0, 0.1
_START_BURST, _START_INTERVAL = 5, 10.0
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
    "StartLimitBurst", "StartLimitInterval", "SyslogIdentifier", "GuessMainPID", *_LIMITS,
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
        self.specifiers = Specifiers(unit, manager, _home_of(manager) or f"/home/{manager}")
        self.result = ImportedProgram({"name": unit.name})
        self.type = self._one_of("Type", _TYPES, "simple")
        self.environment = self._environment()
        self.env_files = [self.specifiers.fill(value) for value in self._values("EnvironmentFile")]

    def program(self) -> ImportedProgram:
        """Return the program."""
        unit, fields, program = self.unit, self.result.fields, self.result
        fields["description"] = self._text("Description", "", section="Unit")[:500]
        self._set_commands()
        user = self._text("User", "") or self.default_user
        fields["user"] = _name_of(user)
        if self._text("Group", "") not in ("", fields["user"]):
            program.note(f"Group={self._text('Group', '')}: it has the groups of its user", "user")
        self._set_directory()
        fields["environment"] = dict(self.environment)
        self._set_env_files()
        fields["boot"] = any(unit.values("Install", key) for key in ("WantedBy", "RequiredBy"))
        self._set_restarts()
        self._set_limit_of_starts()
        self._set_stop()
        self._set_probes()
        self._set_resources()
        self._set_output()
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
                    "A program is not started because another one waits for it: start "
                    f"{other.unit.name}, or give it boot",
                    "depends_on",
                )
        if found:
            self.result.fields["depends_on"] = found
        missing = [name for name in dict.fromkeys([*after, *wanted]) if name not in others]
        if missing:
            self.result.note(f"Not imported, so neither waited for nor started: {', '.join(missing)}")

    def _units(self, option: str) -> list[str]:
        return [
            word for value in self.unit.values("Unit", option) for word in self.specifiers.fill(value).split()
        ]

    def _set_commands(self) -> None:
        fields, program, unit = self.result.fields, self.result, self.unit
        starts = self._executions("ExecStart")
        if not starts:
            raise Problem(f"{unit.file} has no ExecStart")
        if len(starts) > 1 and self.type != "oneshot":
            raise Problem(f"{starts[1].where}: only Type=oneshot can have several commands")
        before = [(each, self._seconds("TimeoutStartSec", 90)) for each in self._executions("ExecStartPre")]
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
        for each in self._executions("ExecReload"):
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

    def _executions(self, option: str) -> list[Execution]:
        return [each for value in self._values(option) for each in executions(value, self.specifiers.fill)]

    def _environment(self) -> dict[str, str]:
        variables = {}
        for value in self._values("Environment"):
            for word in words(value):
                name, equals, text = self.specifiers.fill(Value(word, value.where)).partition("=")
                if not equals:
                    raise Problem(f"{value.where}: Environment has a word that is not NAME=value: '{word}'")
                variables[name] = text
        return variables

    def _set_env_files(self) -> None:
        if not self.env_files:
            return
        self.result.fields["env_file"] = self.env_files
        if self.environment:
            self.result.note(
                "environment wins over env_file; with systemd it is the other way round", "env_file"
            )
        if any(sign in file for file in self.env_files for sign in "*?["):
            self.result.note("A file is named as it is, without wildcards", "env_file")

    def _set_directory(self) -> None:
        directory = self._text("WorkingDirectory", "~" if self.is_of_user else "/")
        path = directory.removeprefix("-")
        if path != directory:
            self.result.note("It must exist", "directory")
        if path != "~":  # which is the default
            self.result.fields["directory"] = path

    def _set_restarts(self) -> None:
        fields, program = self.result.fields, self.result
        restart = self._one_of("Restart", tuple(_RESTARTS), "no")
        fields["autorestart"] = _RESTARTS[restart]
        if restart not in ("no", "always", "on-failure"):
            program.note(f"Restart={restart}: this is the nearest", "autorestart")
        codes = {0, *self._exit_codes("SuccessExitStatus")}
        prevented = self._exit_codes("RestartPreventExitStatus")
        if prevented and fields["autorestart"] == "true":
            program.note("RestartPreventExitStatus: it is restarted after these, too", "autorestart")
        elif prevented:
            program.note(
                "Those of RestartPreventExitStatus are taken as successful, so that it is not restarted",
                "exit_codes",
            )
            codes.update(prevented)
        fields["exit_codes"] = sorted(codes)
        fields["start_seconds"] = 0
        delay = self._seconds("RestartSec", _RESTART_SECONDS)
        if self._values("RestartSec"):
            program.set_number("restart_delay_seconds", delay, f"RestartSec={self._text('RestartSec', '')}")
        fields.setdefault("restart_delay_seconds", 1)
        longest = self._seconds("RestartMaxDelaySec", 0)
        if longest:
            program.set_number("restart_delay_max_seconds", longest, "RestartMaxDelaySec")
        fields["restart_delay_max_seconds"] = max(
            fields.get("restart_delay_max_seconds", 1), fields["restart_delay_seconds"]
        )
        if self._values("RuntimeMaxSec") and not math.isinf(self._seconds("RuntimeMaxSec", 0)):
            program.set_number("max_runtime_seconds", self._seconds("RuntimeMaxSec", 0), "RuntimeMaxSec")
            program.note("It is always started again then", "max_runtime_seconds")

    def _set_limit_of_starts(self) -> None:
        """Set how many restarts are too many, unless the pauses keep it from being reached."""
        fields = self.result.fields
        burst, interval = _START_BURST, _START_INTERVAL
        for section, name in (("Unit", "StartLimitBurst"), ("Service", "StartLimitBurst")):
            if self.unit.values(section, name):
                burst = self._integer(name, section)
        for section, name in (
            ("Unit", "StartLimitIntervalSec"),
            ("Unit", "StartLimitInterval"),
            ("Service", "StartLimitInterval"),
        ):
            if self.unit.values(section, name):
                interval = self._seconds(name, interval, section)
        is_limited = (
            burst > 0 and interval > 0 and self._seconds("RestartSec", _RESTART_SECONDS) * burst < interval
        )
        if is_limited and fields["autorestart"] != "false":
            self.result.set_number("restart_limit", max(burst - 1, 1), f"StartLimitBurst={burst}")
            self.result.note(
                f"{burst} starts within {_shown(interval)} are too many for systemd; here, restarts of runs "
                "that are each shorter than stable_seconds",
                "restart_limit",
            )
            fields["stable_seconds"] = min(max(math.ceil(min(interval, 86400) / burst), 1), 86400)

    def _exit_codes(self, option: str) -> list[int]:
        codes = []
        for value in self._values(option):
            for word in value.text.split():
                if word.isdecimal() and int(word) <= 255:
                    codes.append(int(word))
                elif word in _EXIT_CODES:
                    codes.append(_EXIT_CODES[word])
                elif word.startswith("SIG"):
                    self.result.note(
                        f"{option}={word}: the end by a signal is never successful", "exit_codes"
                    )
                else:
                    raise Problem(f"{value.where}: '{word}' is neither an exit code nor a signal")
        return codes

    def _set_stop(self) -> None:
        fields, program = self.result.fields, self.result
        program.set_stop_signal(
            self._text("KillSignal", "SIGTERM"), f"KillSignal={self._text('KillSignal', '')}"
        )
        mode = self._one_of("KillMode", ("control-group", "mixed", "process", "none"), "control-group")
        fields["stop_scope"] = "tree" if mode == "control-group" else "main"
        if mode in ("process", "none"):
            program.note(f"KillMode={mode}: all that belongs to it is ended with it", "stop_scope")
        given = next((each for each in ("TimeoutStopSec", "TimeoutSec") if self._values(each)), None)
        seconds = self._seconds(given, _STOP_SECONDS) if given else _STOP_SECONDS
        program.set_number(
            "stop_grace_seconds", seconds or math.inf, f"{given}={self._text(given or '', '')}"
        )
        stops = self._executions("ExecStop")
        if len(stops) == 1 and stops[0].signal_to_main in STOP_SIGNALS:
            fields["stop_signal"] = stops[0].signal_to_main
        elif stops:
            program.note(f"ExecStop: {_WITHOUT_COUNTERPART['ExecStop']}", "stop_signal")

    def _set_probes(self) -> None:
        if self.type in ("notify", "notify-reload"):
            self.result.fields["ready"] = {"notify": True}
            if self._values("TimeoutStartSec"):
                self.result.note("TimeoutStartSec: a program that is not ready is not ended", "ready")
        watchdog = self._seconds("WatchdogSec", 0)
        if watchdog and not math.isinf(watchdog):
            interval = min(max(math.ceil(watchdog), 1), 3600)
            self.result.fields["health"] = {"notify": True, "interval": interval, "failures": 1}
            if interval != watchdog:
                self.result.note(f"WatchdogSec={self._text('WatchdogSec', '')}: in whole seconds", "health")

    def _set_resources(self) -> None:
        fields, program = self.result.fields, self.result
        for option in ("MemoryLimit", "MemoryMax"):
            value = self._text(option, "")
            if value.endswith("%"):
                program.note(f"{option}={value}: it takes a number of bytes", "memory_limit_bytes")
            elif value and not math.isinf(self._converted(option, durations.size)):
                program.set_number(
                    "memory_limit_bytes", self._converted(option, durations.size), f"{option}={value}"
                )
                program.note(
                    "A program that uses more is restarted with its grace period; the kernel sets no limit",
                    "memory_limit_bytes",
                )
        if self._values("UMask"):
            fields["umask"] = (
                f"{int(self._text('UMask', '')[-3:] or '0', 8):03o}" if self._is_octal() else "022"
            )
        if self._values("Nice"):
            program.set_number("nice", self._integer("Nice"), "Nice")
        limits: dict[str, int | str] = {}
        for option, name in _LIMITS.items():
            if self._values(option):
                limits[name] = self._limit(option, name)
        fields["limits"] = limits

    def _is_octal(self) -> bool:
        if re.fullmatch(r"[0-7]{1,4}", self._text("UMask", "")):
            return True
        raise Problem(f"{self.unit.where('Service', 'UMask')}: UMask is not an octal number")

    def _limit(self, option: str, name: str) -> int | str:
        soft, colon, hard = self._text(option, "").partition(":")
        if colon and soft != hard:
            self.result.note(f"{option}={soft}:{hard}: both are the soft limit", "limits")
        if soft == "infinity":
            return "unlimited"
        convert: Callable[[str], float] = durations.size if name in _LIMITS_OF_BYTES else float
        if name == "cpu":
            convert = durations.seconds
        return math.ceil(self._converted(option, convert, soft))

    def _set_output(self) -> None:
        fields, program = self.result.fields, self.result
        output, errors = self._text("StandardOutput", "journal"), self._text("StandardError", "inherit")
        for option, text, field in (
            ("StandardOutput", output, "stdout_logfile"),
            ("StandardError", errors, "stderr_logfile"),
        ):
            kind, _, path = text.partition(":")
            if kind in ("file", "append", "truncate"):
                fields[field] = path
                if kind == "truncate":
                    program.note("It is not emptied at a start", field)
            elif kind == "null":
                fields[field] = "/dev/null"
            elif kind not in ("journal", "inherit", "journal+console"):
                program.note(f"{option}={text}: the log is a file", field)
        if output == errors == "null":
            del fields["stdout_logfile"], fields["stderr_logfile"]
            fields["logs_enabled"] = False
        elif errors == "inherit" and output == "null":
            del fields["stdout_logfile"]
            fields["logs_enabled"] = False
        elif fields.get("stdout_logfile", "/dev/null") != "/dev/null" and (
            errors in ("inherit", output) or fields.get("stderr_logfile") == fields["stdout_logfile"]
        ):
            fields.pop("stderr_logfile", None)
            fields["redirect_stderr"] = True
        if self._text("StandardInput", "null") != "null":
            program.note(
                f"StandardInput={self._text('StandardInput', '')}: it reads the end of file; see stdin"
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

    def _values(self, option: str) -> list[Value]:
        return self.unit.values("Service", option)

    def _text(self, option: str, default: str, *, section: str = "Service") -> str:
        values = self.unit.values(section, option)
        return self.specifiers.fill(values[-1]) if values else default

    def _one_of(self, option: str, words: tuple[str, ...], default: str) -> str:
        word = self._text(option, default)
        if word not in words:
            where = self.unit.where("Service", option)
            raise Problem(f"{where}: {option} is not one of {', '.join(words)}: '{word}'")
        return word

    def _seconds(self, option: str, default: float, section: str = "Service") -> float:
        values = self.unit.values(section, option)
        return self._converted(option, durations.seconds, section=section) if values else default

    def _integer(self, option: str, section: str = "Service") -> int:
        return int(self._converted(option, int, section=section))

    def _converted(
        self,
        option: str,
        convert: Callable[[str], float],
        text: str | None = None,
        *,
        section: str = "Service",
    ) -> float:
        text = self._text(option, "", section=section) if text is None else text
        try:
            return convert(text)
        except ValueError:
            where = self.unit.where(section, option)
            raise Problem(f"{where}: {option} can't be read: '{text}'") from None


def _shown(seconds: float) -> str:
    return f"{seconds:g} s"


def _home_of(user: str) -> str | None:
    try:
        return pwd.getpwnam(user).pw_dir
    except KeyError:
        return None


def _name_of(user: str) -> str:
    """Return the name of a user who may be given by number."""
    try:
        return pwd.getpwuid(int(user)).pw_name if user.isdecimal() else user
    except KeyError:
        return user
