"""pm2's process files: `ecosystem.config.js` and its relatives."""

import json
import math
import os
import re
import shlex
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from daemonctl.importing.commands import command_line
from daemonctl.importing.pm2 import ecosystem
from daemonctl.importing.program import Imported, ImportedProgram, Wishes, only
from daemonctl.problems import Problem

_ALIASES = {
    "script": ("exec", "cmd", "command"),
    "exec_interpreter": ("interpreter",),
    "node_args": ("interpreterArgs", "interpreter_args"),
    "out_file": ("out", "output", "out_log"),
    "error_file": ("error", "err", "err_file", "err_log"),
    "log_file": ("log",),
    "pid_file": ("pid",),
    "cron_restart": ("cron",),
    "merge_logs": ("combine_logs",),
    "uid": ("user",),
}
_INTERPRETERS = {
    ".sh": "bash", ".py": "python", ".rb": "ruby", ".php": "php", ".pl": "perl", ".js": "node",
    ".coffee": "coffee", ".ls": "lsc", ".ts": "bun", ".tsx": "bun",
}  # fmt: skip
_WORDS = re.compile(r"""[^\s"'=]+="[^"]*"|[^\s"'=]+='[^']*'|"[^"]*"|'[^']*'|\S+""")
_SIZES = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}
_TIMES = {"": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_MIN_UPTIME, _MAX_RESTARTS, _KILL_TIMEOUT = 1000, 16, 1600
_LONGEST_BACKOFF, _BACKOFF_RESET = 15, 30  # seconds
# Each with what there is instead.
_WITHOUT_COUNTERPART = {
    "watch": "the daemon does not restart programs when files change",
    "cron_restart": "nothing is restarted by the clock; max_runtime_seconds restarts after some time",
    "wait_ready": "process.send('ready') has no effect; see `ready`: port, HTTP, a line of the log, notify",
    "shutdown_with_message": "no message is sent; it is asked to end by stop_signal",
    "log_file": "there is no log of both streams beside the two; redirect_stderr has both in one",
    "log_type": "logs are not written as JSON",
    "gid": "it has the groups of its user",
    "post_update": "nothing is run after an update; see before_start",
    "append_env_to_name": "the name stays as it is",
}
# What only pm2 itself needs, or what is of no effect here.
_IGNORED = {
    "ignore_watch", "watch_delay", "watch_options", "vizion", "pmx", "automation", "trace",
    "disable_trace", "v8", "event_loop_inspector", "deep_monitoring", "io", "force", "pid_file",
    "windowsHide", "username", "write", "kill_retry_time", "install_url", "execute_command",
    "listen_timeout", "source_map_support", "disable_source_map_support", "name_prefix", "filter_env",
}  # fmt: skip
_CONVERTED = {
    "script", "name", "cwd", "args", "exec_interpreter", "node_args", "env", "port", "instances",
    "exec_mode", "instance_var", "increment_var", "max_memory_restart", "restart_delay",
    "exp_backoff_restart_delay", "max_restarts", "min_uptime", "autorestart", "stop_exit_codes",
    "kill_timeout", "treekill", "out_file", "error_file", "merge_logs", "disable_logs",
    "log_date_format", "time", "namespace", "uid", "autostart",
}  # fmt: skip


def read(files: Sequence[Path], wishes: Wishes) -> Imported:
    """Return the programs of a file; of several environments in it the one that was asked for."""
    file = only(files, "A file of pm2")
    document = ecosystem.load(file)
    apps = document.get("apps", document) if isinstance(document, dict) else document
    imported = Imported()
    imported.note(
        "pm2 hands the variables of the terminal on to programs, such as PATH. Here they get only those that "
        "are named, HOME, USER, LOGNAME, SHELL and a PATH"
    )
    if isinstance(document, dict) and "deploy" in document:
        imported.note("'deploy' has no counterpart: the daemon runs programs, it does not deploy them")
    for number, app in enumerate(apps if isinstance(apps, list) else [apps], start=1):
        where = f"{file}: app {number}"
        if not isinstance(app, dict):
            raise Problem(f"{where} is not an object")
        imported.add(_App(_without_aliases(app), file, where, wishes).program(), where)
    return imported


def _without_aliases(app: dict[str, Any]) -> dict[str, Any]:
    app = {str(key): value for key, value in app.items() if value is not None}
    for key, aliases in _ALIASES.items():
        for alias in aliases:
            if alias in app:
                app.setdefault(key, app[alias])
                del app[alias]
    return app


class _App:
    """Converts one app."""

    def __init__(self, app: dict[str, Any], file: Path, where: str, wishes: Wishes) -> None:
        self.app = app
        self.wishes = wishes
        self.where = where
        self.fields: dict[str, Any] = {}
        self.result = ImportedProgram(self.fields)
        self.folder = os.path.normpath(file.absolute().parent / self.text("cwd", "."))
        self.count = self._count()

    def program(self) -> ImportedProgram:
        """Return the program."""
        app, fields, program = self.app, self.fields, self.result
        script = self.text("script", "")
        if not script:
            raise Problem(f"{self.where} has no script")
        fields["name"] = self.text("name", "") or os.path.splitext(os.path.basename(script))[0]  # noqa: PTH119, PTH122
        self.where = f"{self.where} ('{fields['name']}')"
        program.set_user(self.text("uid", "") or self.wishes.default_user)
        fields["directory"] = self.folder
        environment = self._environment()
        arguments = self._arguments(script, environment)
        fields["command"] = self._with_instance(arguments, environment)
        program.set_environment(environment)
        if "namespace" in app:
            program.set_label("namespace", self.text("namespace", ""))
        fields["boot"] = app.get("autostart", True) is not False
        if self.count > 1:
            program.set_number("numprocs", self.count, f"instances: {app['instances']}")
        self._set_restarts()
        self._set_stop()
        self._set_logs()
        if "max_memory_restart" in app:
            size = self._quantity("max_memory_restart", _SIZES)
            program.set_number("memory_limit_bytes", size, f"max_memory_restart: {app['max_memory_restart']}")
        self._note_the_rest()
        return program

    def text(self, key: str, default: str) -> str:
        """Return an option that is text, or a number as text."""
        value = self.app.get(key, default)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise Problem(f"{self.where}: {key} is not text")
        return str(value)

    def _count(self) -> int:
        value = self.app.get("instances", 1)
        try:
            count = 0 if value == "max" else int(value)
        except (ValueError, TypeError):
            raise Problem(f'{self.where}: instances is not a number or "max": {json.dumps(value)}') from None
        if count > 0:
            return count
        cores = os.cpu_count() or 1
        self.result.note(
            f"instances: {value} depends on the cores of the host; this one has {cores}", "numprocs"
        )
        return max(cores + count, 1)

    def _environment(self) -> dict[str, str]:
        wished = self.wishes.environment
        given, chosen = self.app.get("env", {}), self.app.get(f"env_{wished}", {})
        if not isinstance(given, dict) or not isinstance(chosen, dict):
            raise Problem(f"{self.where}: env is not an object")
        if wished and f"env_{wished}" not in self.app:
            self.result.note(f"There is no env_{wished}", "environment")
        others = sorted(key for key in self.app if key.startswith("env_") and key != f"env_{wished}")
        if others:
            name = others[0].removeprefix("env_")
            self.result.note(f"Not used: {', '.join(others)}; for it call with --env {name}", "environment")
        if "port" in self.app:
            given = {**given, "PORT": self.app["port"]}
        # As pm2 does, which makes text of objects and null in `env`, and leaves them out in `env_NAME`.
        left_out = {key for key, value in chosen.items() if value is None or isinstance(value, dict | list)}
        return {key: _as_variable(value) for key, value in {**given, **chosen}.items() if key not in left_out}

    def _arguments(self, script: str, environment: dict[str, str]) -> list[str]:
        """Return the arguments of the process."""
        given = self._words("args")
        if " " in script:
            shell = "bash" if shutil.which("bash") else "sh"
            return [shutil.which(shell) or shell, "-c", script]
        path = self._path_of(script)
        interpreter = self.text("exec_interpreter", "") or self._interpreter_of(path)
        if "python" in interpreter:
            environment["PYTHONUNBUFFERED"] = "1"
        if interpreter == "none":
            return [path, *given]
        if "@" in interpreter:
            self.result.note(f"interpreter: {interpreter}: pm2 has nvm find it; name its path", "command")
        return [interpreter, *self._words("node_args"), path, *given]

    def _path_of(self, script: str) -> str:
        path = os.path.normpath(os.path.join(self.folder, script))  # noqa: PTH118
        if os.path.exists(path):  # noqa: PTH110
            return path
        found = shutil.which(script)
        if found is None:
            self.result.note(f"There is no '{script}' here, neither in {self.folder} nor in PATH", "command")
        return found or path

    def _interpreter_of(self, path: str) -> str:
        by_name = _INTERPRETERS.get(os.path.splitext(path)[1])  # noqa: PTH122
        if by_name == "python" and shutil.which("python") is None:
            return "python3"
        return by_name or ("none" if _is_binary(path) else "node")

    def _words(self, key: str) -> list[str]:
        value = self.app.get(key, [])
        if isinstance(value, str):
            words = _WORDS.findall(value)
            return [word[1:-1] if word[0] in "\"'" and word[-1] == word[0] else word for word in words]
        if not isinstance(value, list):
            raise Problem(f"{self.where}: {key} is neither text nor a list")
        return [str(word) for word in value]

    def _with_instance(self, arguments: list[str], environment: dict[str, str]) -> str:
        """Return the command, with the number of the instance in the variables that pm2 has it in."""
        variable = self.text("instance_var", "NODE_APP_INSTANCE")
        increment = self.text("increment_var", "")
        if self.count == 1:
            environment[variable] = "0"
            return command_line(arguments)
        command = ["env", f"{variable}={{instance}}", *arguments]
        if self.app.get("exec_mode", "cluster" if _is_node(arguments[0]) else "fork").startswith("cluster"):
            self.result.note(
                "pm2 has instances of a cluster share their ports. Here each has to open a port of its own, "
                "such as one more for each INSTANCE, or port_range"
            )
        if not increment:
            return command_line(command)
        first = environment.pop(increment, "0")
        if not first.isdecimal():
            raise Problem(f"{self.where}: {increment}, the increment_var, is not a number: '{first}'")
        return command_line(
            ["sh", "-c", f'{increment}=$(({first} + {{instance}})) exec "$@"', "sh", *command]
        )

    def _set_restarts(self) -> None:
        app, fields, program = self.app, self.fields, self.result
        fields["autorestart"] = "false" if app.get("autorestart") in (False, "false") else "true"
        codes = app.get("stop_exit_codes")
        if codes is not None and fields["autorestart"] == "true":
            fields["autorestart"] = "unexpected"
            try:
                fields["exit_codes"] = [int(code) for code in (codes if isinstance(codes, list) else [codes])]
            except (ValueError, TypeError):
                raise Problem(f"{self.where}: stop_exit_codes are not numbers") from None
        uptime = self._quantity("min_uptime", _TIMES, _MIN_UPTIME) / 1000
        program.set_number("start_seconds", uptime, f"min_uptime: {app.get('min_uptime')}")
        restarts = self._quantity("max_restarts", {"": 1}, _MAX_RESTARTS)
        program.set_number("start_retries", max(restarts - 1, 0), f"max_restarts: {app.get('max_restarts')}")
        if "exp_backoff_restart_delay" in app:
            delay = self._quantity("exp_backoff_restart_delay", {"": 1}) / 1000
            program.set_number(
                "restart_delay_seconds",
                delay,
                f"exp_backoff_restart_delay: {app['exp_backoff_restart_delay']}",
            )
            program.note(
                "Each pause is twice the one before; pm2 has one and a half", "restart_delay_max_seconds"
            )
            fields["restart_delay_max_seconds"] = max(_LONGEST_BACKOFF, fields["restart_delay_seconds"])
            fields["stable_seconds"] = _BACKOFF_RESET
        else:
            delay = self._quantity("restart_delay", {"": 1}, 0) / 1000
            program.set_number("restart_delay_seconds", delay, f"restart_delay: {app.get('restart_delay')}")
            fields["restart_delay_max_seconds"] = max(fields["restart_delay_seconds"], 1)

    def _set_stop(self) -> None:
        self.fields["stop_signal"] = "INT"
        if self.app.get("treekill") is not False:
            self.fields["stop_scope"] = "tree"
        seconds = self._quantity("kill_timeout", {"": 1}, _KILL_TIMEOUT) / 1000
        if "kill_timeout" in self.app:
            self.result.set_number("stop_grace_seconds", seconds, f"kill_timeout: {self.app['kill_timeout']}")
        else:
            self.fields["stop_grace_seconds"] = math.ceil(seconds)

    def _set_logs(self) -> None:
        app, fields = self.app, self.fields
        for key, field in (("out_file", "stdout_logfile"), ("error_file", "stderr_logfile")):
            if key in app:
                path = os.path.expanduser(self.text(key, ""))  # noqa: PTH111
                fields[field] = (
                    "/dev/null"
                    if path in ("NULL", "/dev/null")
                    else os.path.normpath(os.path.join(self.folder, path))  # noqa: PTH118
                )
        if "stdout_logfile" in fields and fields["stdout_logfile"] == fields.get("stderr_logfile"):
            fields["redirect_stderr"] = True
            del fields["stderr_logfile"]
        if app.get("merge_logs") and self.count > 1:
            self.result.note("Each instance has logs of its own, with its number before the suffix")
        if app.get("disable_logs"):
            fields["logs_enabled"] = False
        if app.get("time") or "log_date_format" in app:
            fields["log_timestamps"] = True
            self.result.note("The time is in UTC, as 2026-11-26T18:03:05.123Z", "log_timestamps")

    def _quantity(self, key: str, units: dict[str, int], default: float | None = None) -> float:
        """Return a number that may have a unit."""
        value = self.app.get(key, default)
        found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([A-Za-z]?)", str(value))
        if not found or found[2] not in units:
            shown = (
                "a number" if len(units) == 1 else f"a number, or one with {', '.join(filter(None, units))}"
            )
            raise Problem(f"{self.where}: {key} is not {shown}: {json.dumps(value)}")
        return float(found[1]) * units[found[2]]

    def _note_the_rest(self) -> None:
        for key, sentence in _WITHOUT_COUNTERPART.items():
            if self.app.get(key) not in (None, False, 0, "0"):
                self.result.note(f"{key}: {sentence}")
        known: Callable[[str], bool] = (_CONVERTED | _IGNORED | _WITHOUT_COUNTERPART.keys()).__contains__
        self.result.lacks(*(key for key in self.app if not known(key) and not key.startswith("env_")))


def _as_variable(value: Any) -> str:
    """Return a value as JavaScript makes text of it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value, separators=(",", ":"))


def _is_node(argument: str) -> bool:
    return os.path.basename(argument).endswith(("node", "bun"))  # noqa: PTH119


def _is_binary(path: str) -> bool:
    """Return whether a file is a program by itself, not a script for node."""
    try:
        with open(path, "rb") as file:
            return b"\0" in file.read(512)
    except OSError:
        return "/" not in shlex.quote(path)
