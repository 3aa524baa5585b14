"""`process-compose.yaml`, by the rules of process-compose 1."""

import os
import re
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from daemonctl.importing.commands import command_line, has_variables
from daemonctl.importing.env_files import as_dotenv, refer
from daemonctl.importing.process_compose.project import Project, environment_of, map_of
from daemonctl.importing.program import Imported, ImportedProgram, Wishes, only
from daemonctl.problems import Problem

_TEMPLATE = re.compile(r"\{\{\s*\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_CONDITIONS = {
    "process_started": "started",
    "process_healthy": "ready",
    "process_log_ready": "ready",
    "process_completed": "completed",
    "process_completed_successfully": "completed",
}
_RESTARTS = {"no": "false", "always": "true", "on_failure": "unexpected", "exit_on_failure": "false"}
_IGNORED = {"disable_ansi_colors", "is_template_disabled", "original_config", "launch_timeout_seconds"}
_CONVERTED = {
    "command", "entrypoint", "environment", "env_file", "is_dotenv_disabled", "working_dir",
    "depends_on", "readiness_probe", "liveness_probe", "ready_log_line", "availability",
    "success_exit_codes", "shutdown", "disabled", "is_disabled", "is_daemon", "is_foreground",
    "namespace", "replicas", "log_location", "log_configuration", "description", "vars",
}  # fmt: skip
_WITHOUT_COUNTERPART = {
    "schedule": "programs are not started by the clock",
    "watch": "the daemon does not restart programs when files change",
    "is_tty": "it has no terminal; terminal_id gives it one",
    "is_interactive": "it has no terminal; terminal_id gives it one",
    "is_elevated": "sudo is not used; set user",
    "extends": "what it takes over from another process is missing here",
    "mcp": "the daemon has no MCP server",
    "monitor_for": "the daemon does not tell of activity or silence",
    "truncate_log": "a log goes on where it was",
}


def read(files: Sequence[Path], wishes: Wishes) -> Imported:
    """Return the programs of a project, with the variables of the `.env` beside it."""
    file = only(files, "process-compose.yaml")
    project = Project(file, wishes)
    for name in project.processes:
        imported = project.imported
        imported.add(_Process(project, name).program(), f"{file}:{project.line(name)}")
    return project.imported


class _Process:
    """Converts one process."""

    def __init__(self, project: Project, name: str) -> None:
        self.project = project
        self.name = name
        self.where = f"{project.file}:{project.line(name)}: '{name}'"
        self.process = self._map(project.processes[name], "the process")
        self.fields: dict[str, Any] = {"name": name}
        self.result = ImportedProgram(self.fields)
        self.count = self._integer(self.process, "replicas", 1) or 1
        folder = self._filled(self._text("working_dir", ""))
        self.folder = os.path.normpath(os.path.join(project.folder, folder))  # noqa: PTH118

    def program(self) -> ImportedProgram:
        """Return the program."""
        fields, process, program = self.fields, self.process, self.result
        fields["description"] = self._filled(self._text("description", ""))[:500]
        fields["command"] = self._command()
        fields["user"] = self.project.wishes.default_user
        fields["directory"] = self.folder
        self._set_environment()
        for namespace in _list(process.get("namespace")):
            program.set_label("namespace", str(namespace))
        self._set_boot()
        if self.count > 1:
            program.set_number("numprocs", self.count, f"replicas: {self.count}")
        self._set_restarts()
        self._set_shutdown()
        self._set_probes()
        self._set_dependencies()
        self._set_logs()
        for key, sentence in _WITHOUT_COUNTERPART.items():
            if process.get(key):
                program.note(f"{key}: {sentence}")
        known = _CONVERTED | _IGNORED | _WITHOUT_COUNTERPART.keys()
        program.lacks(*(key for key in process if key not in known and not key.startswith("x-")))
        return program

    def _command(self) -> str:
        process = self.process
        if process.get("command"):
            command = self._text("command", "").rstrip("\n")  # which mean nothing to a shell
            return command_line(
                self._in_shell(command if process.get("is_template_disabled") else self._filled(command))
            )
        entrypoint = process.get("entrypoint")
        if not isinstance(entrypoint, list) or not entrypoint:
            why = ", and what it extends is not looked at" if "extends" in process else ""
            raise Problem(f"{self.where} has no command{why}")
        return command_line([str(word) for word in entrypoint])

    def _in_shell(self, command: str) -> list[str]:
        shell = self.project.shell
        return [str(shell["shell_command"]), str(shell["shell_argument"]), command]

    def _filled(self, text: str) -> str:
        """Return a text with the values of `vars`, as far as they are used without anything else."""
        replica = "{instance}" if self.count > 1 else "0"
        own = self._map(self.process.get("vars"), "vars")
        values = {**self.project.vars, **own, "PC_REPLICA_NUM": replica}
        filled = _TEMPLATE.sub(lambda found: str(values.get(found[1], found[0])), text)
        if "{{" in filled:
            self.result.note(
                f"A template that is more than a name in `vars` is left as it is: {filled.strip()}"
            )
        return filled

    def _set_environment(self) -> None:
        own = environment_of(self.process.get("environment"), self.where)
        environment = self.project.environment | {key: self._filled(value) for key, value in own.items()}
        text = self.fields["command"]
        if "PC_PROC_NAME" in text:
            environment.setdefault("PC_PROC_NAME", self.name)
        if "PC_REPLICA_NUM" in text:
            if self.count > 1:
                self.fields["command"] = f"env PC_REPLICA_NUM={{instance}} {text}"
            else:
                environment.setdefault("PC_REPLICA_NUM", "0")
        self.result.set_environment(environment)
        if self.project.dotenv and not self.process.get("is_dotenv_disabled"):
            refer(self.result, self.project.dotenv_file, as_dotenv)
        env_file = self._text("env_file", "")
        if env_file:
            path = os.path.normpath(os.path.join(self.folder, env_file))  # noqa: PTH118
            self.fields.setdefault("env_file", []).append(path)
            if self.project.environment:
                self.result.note("The variables of the project win over those of env_file", "env_file")
        if "env_file" in self.fields:
            self.result.note("Read at each start, without ${…} in it", "env_file")

    def _set_boot(self) -> None:
        process = self.process
        disabled = process.get("disabled", False) or str(process.get("is_disabled", "")).lower() == "true"
        foreground = process.get("is_foreground", False)
        self.fields["boot"] = not disabled and not foreground
        if foreground:
            self.result.note(
                "is_foreground: it has no terminal; start it by hand, or use daemonctl run", "boot"
            )
        if process.get("is_daemon"):
            self.result.note(
                "is_daemon: what the command leaves in the background is ended with it. Have it stay in the "
                "foreground"
            )

    def _set_restarts(self) -> None:
        fields, program = self.fields, self.result
        policy = self._map(self.process.get("availability"), "availability")
        restart = _no(policy.get("restart", "no"))
        if restart not in _RESTARTS:
            raise Problem(f"{self.where}: restart is not one of {', '.join(_RESTARTS)}: '{restart}'")
        fields["autorestart"] = _RESTARTS[restart]
        if restart == "exit_on_failure" or policy.get("exit_on_end"):
            option = "restart: exit_on_failure" if restart == "exit_on_failure" else "exit_on_end"
            program.note(f"{option}: the end of one program ends no others", "autorestart")
        fields["start_seconds"] = 0
        delay = max(self._integer(policy, "backoff_seconds", 1), 1)
        program.set_number("restart_delay_seconds", delay, f"backoff_seconds: {delay}")
        fields["restart_delay_max_seconds"] = fields["restart_delay_seconds"]
        limit = self._integer(policy, "max_restarts", 0)
        if limit:
            program.set_number("restart_limit", limit, f"max_restarts: {limit}")
            program.note(
                "Counted from 0 again after a run of stable_seconds; process-compose counts all",
                "restart_limit",
            )
        codes = self.process.get("success_exit_codes") or []
        if not all(type(code) is int and 0 <= code <= 255 for code in codes):
            raise Problem(f"{self.where}: success_exit_codes are not numbers from 0 to 255")
        fields["exit_codes"] = sorted({0, *codes})

    def _set_shutdown(self) -> None:
        shutdown = self._map(self.process.get("shutdown"), "shutdown")
        number = self._integer(shutdown, "signal", signal.SIGTERM) or signal.SIGTERM
        try:
            name = signal.Signals(number).name
        except ValueError:
            raise Problem(f"{self.where}: there is no signal {number}") from None
        self.result.set_stop_signal(name, f"signal: {number}")
        self.fields["stop_scope"] = "main" if shutdown.get("parent_only") else "tree"
        if shutdown.get("timeout_seconds"):
            seconds = self._integer(shutdown, "timeout_seconds", 10)
            self.result.set_number("stop_grace_seconds", seconds, f"timeout_seconds: {seconds}")
        for key in ("command", "send_keys"):
            if shutdown.get(key):
                self.result.note(f"shutdown.{key} is not run: it is asked to end by a signal", "stop_signal")

    def _set_probes(self) -> None:
        if self.process.get("ready_log_line"):
            self.fields["ready"] = {"log": re.escape(self._text("ready_log_line", ""))}
        for key, field in (("readiness_probe", "ready"), ("liveness_probe", "health")):
            if self.process.get(key):
                probe = self._probe(key, field)
                if probe:
                    self.fields[field] = probe

    def _probe(self, key: str, field: str) -> dict[str, Any] | None:
        given = self._map(self.process[key], key)
        probe: dict[str, Any] = {}
        if given.get("exec"):
            look = self._map(given["exec"], key)
            command = self._filled(str(look.get("command", "")))
            folder = look.get("working_dir")
            if folder:
                folder = os.path.normpath(os.path.join(self.project.folder, str(folder)))  # noqa: PTH118
                probe["command"] = command_line(
                    ["sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", folder, *self._in_shell(command)]
                )
            else:
                probe["command"] = command_line(self._in_shell(command))
        elif given.get("http_get"):
            url, status = self._url(self._map(given["http_get"], key), key)
            if url is None:
                return None
            probe["http"] = url
            if status != 200:
                probe["status"] = status
        else:
            raise Problem(f"{self.where}: {key} has neither exec nor http_get")
        probe["interval"] = min(max(self._integer(given, "period_seconds", 10), 1), 3600)
        probe["timeout"] = min(max(self._integer(given, "timeout_seconds", 1), 1), 300)
        probe["after_seconds"] = min(max(self._integer(given, "initial_delay_seconds", 0), 0), 3600)
        probe["successes"] = min(max(self._integer(given, "success_threshold", 1), 1), 100)
        failures = min(max(self._integer(given, "failure_threshold", 3), 1), 100)
        if field == "health":
            probe |= {"failures": failures, "grace_seconds": 0}
        else:
            self.result.note(
                "failure_threshold: a program that is not ready is not restarted; see health", "ready"
            )
        return probe

    def _url(self, look: Mapping[str, Any], key: str) -> tuple[str | None, int]:
        scheme, host = str(look.get("scheme") or "http"), str(look.get("host") or "127.0.0.1")
        port, path = str(look.get("port") or ""), self._filled(str(look.get("path") or "/"))
        if scheme != "http":
            self.result.note(f"{key}: probes speak http, not {scheme}; it is left out")
            return None, 0
        if look.get("headers"):
            self.result.note(f"{key}: probes send no headers of their own")
        if host not in ("127.0.0.1", "localhost", "::1"):
            self.result.note(f"{key}: {host} must be in DAEMON_PROBE_HOSTS of the daemon")
        status = self._integer(look, "status_code", 200)
        address = f"{scheme}://{host}{f':{self._filled(port)}' if port else ''}{path}"
        return address, status if 1 <= status < 400 else 200

    def _set_dependencies(self) -> None:
        dependencies = self._map(self.process.get("depends_on"), "depends_on")
        found = []
        for name, given in dependencies.items():
            condition = str(self._map(given, "depends_on").get("condition", "process_started"))
            if condition not in _CONDITIONS:
                raise Problem(f"{self.where}: depends_on '{name}' has an unknown condition '{condition}'")
            if name not in self.project.processes:
                self.result.note(f"'{name}' is in another file, and not waited for", "depends_on")
                continue
            found.append({"program": name, "condition": _CONDITIONS[condition]})
            if condition == "process_completed":
                self.result.note(f"'{name}' must end with one of its exit_codes, not just end", "depends_on")
        if found:
            self.fields["depends_on"] = found

    def _set_logs(self) -> None:
        location = self._text("log_location", "")
        if location:
            path = os.path.join(self.project.folder, self._filled(location))  # noqa: PTH118
            self.fields["stdout_logfile"] = os.path.normpath(path)
            self.fields["redirect_stderr"] = True
        rotation = self._map(
            self._map(self.process.get("log_configuration"), "log_configuration").get("rotation"), ""
        )
        if rotation.get("max_size_mb"):
            size = self._integer(rotation, "max_size_mb", 0) * 1024**2
            self.result.set_number("log_max_bytes", size, "max_size_mb")
        if rotation.get("max_backups"):
            self.result.set_number("log_backups", self._integer(rotation, "max_backups", 0), "max_backups")

    def _map(self, value: Any, what: str) -> dict[str, Any]:
        return map_of(value, f"{self.where}: {what}")

    def _text(self, key: str, default: str) -> str:
        value = self.process.get(key)
        if value is None:
            return default
        if isinstance(value, dict | list):
            raise Problem(f"{self.where}: {key} is not text")
        return str(value)

    def _integer(self, given: Mapping[str, Any], key: str, default: int) -> int:
        value = given.get(key, default)
        if isinstance(value, str) and has_variables(value):
            raise Problem(f"{self.where}: {key} is a variable that has no value here; put it into .env")
        if type(value) is not int:
            try:
                return int(str(value))
            except ValueError:
                raise Problem(f"{self.where}: {key} is not a number: '{value}'") from None
        return value


def _no(value: Any) -> str:
    """Return a word of which YAML makes a boolean."""
    return "no" if value is False else str(value)


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
