"""`supervisord.conf`, by the rules of supervisord 4."""

import os
import platform
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from daemonctl.importing.commands import MARKS, command_line, has_variables
from daemonctl.importing.program import RANGES, Imported, ImportedProgram, Note, Wishes, only
from daemonctl.importing.supervisord.ini import Configuration, Option, expand
from daemonctl.importing.supervisord.values import Expansions, Values, boolean_of
from daemonctl.problems import Problem

_LOG_MAX_BYTES, _LOG_BACKUPS = 50 * 1024**2, 10
# A number that no program has: where it is found, the number of a process was.
_ANY_NUMBER = 918273645
_OF_PROGRAMS = {
    "command", "process_name", "numprocs", "numprocs_start", "priority", "autostart", "startsecs",
    "startretries", "autorestart", "exitcodes", "stopsignal", "stopwaitsecs", "stopasgroup",
    "killasgroup", "user", "redirect_stderr", "stdout_logfile", "stdout_logfile_maxbytes",
    "stdout_logfile_backups", "stderr_logfile", "stderr_logfile_maxbytes", "stderr_logfile_backups",
    "environment", "directory", "umask",
}  # fmt: skip
_OF_SUPERVISORD = {"environment", "user", "umask", "directory"}  # those that programs inherit


def read(files: Sequence[Path], wishes: Wishes) -> Imported:
    """Return the programs of a file and of those that it includes."""
    configuration = Configuration(only(files, "supervisord.conf"))
    imported = Imported()
    for pattern in configuration.unmatched:
        imported.note(f"[include]: no file matches '{pattern}'")
    _Reader(configuration, imported, wishes).read()
    if not imported.programs:
        raise Problem(f"{files[0]} has no [program:…]")
    return imported


class _Reader:
    """Converts the sections of a configuration."""

    def __init__(self, configuration: Configuration, imported: Imported, wishes: Wishes) -> None:
        self.configuration = configuration
        self.imported = imported
        self.wishes = wishes
        self.shared: Expansions = {"here": configuration.folder, "host_node_name": platform.node()}
        self.environment = self._shared_environment()

    def read(self) -> None:
        """Add the programs, those of groups first."""
        configuration = self.configuration
        self._note_sections()
        grouped = set()
        for section, group in configuration.of_kind("group"):
            option = configuration.option(section, "programs")
            names = [name.strip() for name in self._text(option).split(",")] if option else []
            for name in names:
                if f"fcgi-program:{name}" in configuration.sections:
                    continue  # of which there is a note
                if f"program:{name}" not in configuration.sections:
                    where = option.where if option else configuration.where(section)
                    raise Problem(f"{where}: [{section}] names an unknown program '{name}'")
                self._add(f"program:{name}", name, group, f"{group}:{name}" if name in grouped else name)
                grouped.add(name)
            if configuration.option(section, "priority"):
                self.imported.note(f"[{section}]: a group has no priority of its own; programs have theirs")
        for section, name in configuration.of_kind("program"):
            if name not in grouped:
                self._add(section, name, name, name)

    def _note_sections(self) -> None:
        imported, sections = self.imported, self.configuration.sections
        imported.note(
            "Programs inherit the variables of supervisord, such as PATH, from where it was started. Here "
            "they get only those that are named, HOME, USER, LOGNAME, SHELL and a PATH"
        )
        for kind, why in (
            (
                "eventlistener",
                "it speaks supervisord's event protocol; the daemon has webhooks and event streams",
            ),
            ("fcgi-program", "supervisord makes its socket; start the server with a socket of its own"),
        ):
            for section, _ in self.configuration.of_kind(kind):
                imported.note(f"[{section}] is not imported: {why}")
        others = [
            f"[{name}]"
            for name in sections
            if name.partition(":")[0]
            in ("unix_http_server", "inet_http_server", "supervisorctl", "rpcinterface", "ctlplugin")
        ]
        if others:
            imported.note(f"Not about programs, and left out: {', '.join(others)}")
        own = [name for name in sections.get("supervisord", {}) if name not in _OF_SUPERVISORD]
        if own:
            imported.note(f"[supervisord]: settings of the daemon itself are left out: {', '.join(own)}")
        if "minfds" in own or "minprocs" in own:
            imported.note(
                "minfds and minprocs raise what programs may use; for one that needs it, set `limits`"
            )

    def _shared_environment(self) -> dict[str, str]:
        """Return the variables that all programs get, and let the others refer to them."""
        option = self.configuration.option("supervisord", "environment")
        if option is None:
            return {}
        variables = _variables(Option(expand(option, self.shared), option.where))
        self.shared.update({f"ENV_{name}": value for name, value in variables.items()})
        return variables

    def _text(self, option: Option) -> str:
        return expand(option, self.shared)

    def _add(self, section: str, name: str, group: str, title: str) -> None:
        """Add the program of a section: as one with instances if they differ in their number only."""
        for sign in " :/":
            if sign in name:
                raise Problem(f"{self.configuration.where(section)}: a name can't have '{sign}': '{name}'")
        values = Values(
            self.configuration, section, {**self.shared, "program_name": name, "group_name": group}
        )
        count, first = values.integer("numprocs", 1), values.integer("numprocs_start", 0)
        if not 0 <= count <= RANGES["numprocs"][1]:
            raise Problem(f"{values.where_of('numprocs')}: numprocs is not a number from 0 to 1000: {count}")
        if count == 0:
            self.imported.note(f"[{section}] has no process: numprocs is 0")
        if count > 1 and "%(process_num)" not in values.raw("process_name", ""):
            raise Problem(f"{values.where}: process_name needs %(process_num)d when numprocs is above 1")
        numbers = range(first, first + count)
        processes = [self._program(values, title, number, count) for number in numbers]
        if count > 1:
            pattern = self._program(values, title, _ANY_NUMBER, count)
            if all(
                _filled(pattern, number - first) == process.fields
                for number, process in zip(numbers, processes, strict=True)
            ):
                pattern.fields = _filled(pattern, None)
                pattern.notes = [
                    Note(note.text.replace(str(_ANY_NUMBER), "{instance}"), note.field)
                    for note in pattern.notes
                ]
                pattern.fields["numprocs"] = count
                processes = [pattern]
            else:
                self._tell_apart(values, title, processes, numbers)
        for program in processes:
            if group != name:
                program.set_label("group", group)
            self.imported.add(program, self.configuration.where(section))

    def _tell_apart(
        self, values: Values, title: str, processes: list[ImportedProgram], numbers: range
    ) -> None:
        for program, number in zip(processes, numbers, strict=True):
            name = values.expanded("process_name", "%(program_name)s", number, len(processes))
            program.fields["name"] = name if name not in (title, "") else f"{title}_{number}"
            program.set_label("program", title)
            program.note(
                "The processes of this program differ by more than a number from 0 on: each is a program now"
            )

    def _program(self, values: Values, name: str, number: int, count: int) -> ImportedProgram:
        """Return one process of a program."""
        program = ImportedProgram({"name": name})
        option = values.option("command")
        if option is None:
            raise Problem(f"{values.where}: [{values.section}] has no command")
        values.set_process(number, count)
        own = _variables(Option(values.text("environment", ""), values.where_of("environment")))
        values.expansions.update({f"ENV_{key}": value for key, value in own.items()})
        program.fields["command"] = _command(Option(values.text("command", ""), option.where))
        self._set_world(values, program, own)
        _set_policy(values, program)
        self._set_logs(values, program)
        unknown = [key for key in self.configuration.sections[values.section] if key not in _OF_PROGRAMS]
        program.lacks(*sorted(unknown))
        return program

    def _set_world(self, values: Values, program: ImportedProgram, own: dict[str, str]) -> None:
        user = values.text("user", "") or self._inherited("user")
        program.set_user(user or self.wishes.default_user)
        if not user:
            self.imported.note(
                "Where no user is named, programs run as the one who starts supervisord; it is "
                f"'{self.wishes.default_user}' here (--user)"
            )
        directory = values.text("directory", "") or self._inherited("directory")
        if directory:
            program.fields["directory"] = self._absolute(directory, program, "directory")
        else:
            self.imported.note(
                "Where no directory is named, programs run where supervisord was started; here it is the "
                "home of their user"
            )
        program.set_environment({**self.environment, **own})
        umask = values.text("umask", "") or self._inherited("umask")
        if umask:
            program.fields["umask"] = f"{_octal(umask, values.where_of('umask')):03o}"

    def _inherited(self, name: str) -> str:
        option = self.configuration.option("supervisord", name)
        return self._text(option) if option else ""

    def _absolute(self, path: str, program: ImportedProgram, field: str) -> str:
        path = os.path.expanduser(path)  # noqa: PTH111
        if path.startswith("/") or has_variables(path[:1]):
            return path
        base = os.path.expanduser(self._inherited("directory")) or self.configuration.folder  # noqa: PTH111
        program.note(
            f"'{path}' is taken to be in {base}; supervisord takes the folder it was started in", field
        )
        return os.path.normpath(os.path.join(base, path))  # noqa: PTH118

    def _set_logs(self, values: Values, program: ImportedProgram) -> None:
        fields = program.fields
        fields["redirect_stderr"] = values.boolean("redirect_stderr", False)
        none = []
        for stream in ("stdout", "stderr"):
            path = values.text(f"{stream}_logfile", "AUTO")
            if stream == "stderr" and fields["redirect_stderr"]:
                continue
            if path.lower() == "syslog":
                program.note("syslog has no counterpart: the log is a file", f"{stream}_logfile")
            elif path.lower() in ("none", "off"):
                none.append(f"{stream}_logfile")
            elif path.lower() != "auto":
                fields[f"{stream}_logfile"] = self._absolute(path, program, f"{stream}_logfile")
        if len(none) == (1 if fields["redirect_stderr"] else 2):
            fields["logs_enabled"] = False
            return
        fields.update(dict.fromkeys(none, "/dev/null"))
        first = "stderr" if none == ["stdout_logfile"] else "stdout"
        program.set_number(
            "log_max_bytes", values.size(f"{first}_logfile_maxbytes", _LOG_MAX_BYTES), "logfile_maxbytes"
        )
        program.set_number(
            "log_backups", values.integer(f"{first}_logfile_backups", _LOG_BACKUPS), "logfile_backups"
        )
        if none or fields["redirect_stderr"]:
            return
        if values.size("stderr_logfile_maxbytes", _LOG_MAX_BYTES) != fields["log_max_bytes"]:
            program.note("The same for both logs: stderr_logfile_maxbytes is not used", "log_max_bytes")
        if values.integer("stderr_logfile_backups", _LOG_BACKUPS) != fields["log_backups"]:
            program.note("The same for both logs: stderr_logfile_backups is not used", "log_backups")


def _set_policy(values: Values, program: ImportedProgram) -> None:
    """Set how a program is started, restarted and stopped."""
    fields = program.fields
    fields["boot"] = values.boolean("autostart", True)
    fields["autorestart"] = _autorestart(
        values.text("autorestart", "unexpected"), values.where_of("autorestart")
    )
    codes = _exit_codes(values.text("exitcodes", "0"), values.where_of("exitcodes"))
    if codes:
        fields["exit_codes"] = codes
    elif fields["autorestart"] == "unexpected":
        program.note("Without exitcodes each end is unexpected", "autorestart")
        fields["autorestart"] = "true"
    for key, option, default in (
        ("start_seconds", "startsecs", 1),
        ("start_retries", "startretries", 3),
        ("stop_grace_seconds", "stopwaitsecs", 10),
        ("priority", "priority", 999),
    ):
        number = values.integer(option, default)
        program.set_number(key, number, f"{option} = {number}")
    program.set_stop_signal(
        _signal(values.text("stopsignal", "TERM")), f"stopsignal = {values.raw('stopsignal', '')}"
    )
    if values.boolean("stopasgroup", False):
        fields["stop_scope"] = "tree"
        if not values.boolean("killasgroup", True):
            raise Problem(f"{values.where_of('killasgroup')}: it can't be false when stopasgroup is true")


def _octal(text: str, where: str) -> int:
    try:
        return int(text, 8) & 0o777
    except ValueError:
        raise Problem(f"{where}: umask is not an octal number: '{text}'") from None


def _autorestart(text: str, where: str) -> str:
    word = text.lower()
    if word == "unexpected":
        return word
    try:
        return str(boolean_of(word)).lower()
    except ValueError:
        raise Problem(f"{where}: autorestart is not true, false or unexpected: '{text}'") from None


def _exit_codes(text: str, where: str) -> list[int]:
    try:
        codes = [int(code) for code in text.split(",")] if text else []
    except ValueError:
        codes = [-1]
    if not all(0 <= code <= 255 for code in codes):
        raise Problem(f"{where}: exitcodes are not numbers from 0 to 255: '{text}'")
    return sorted(set(codes))


def _signal(text: str) -> str:
    """Return the name of a signal that is given by name or number."""
    import signal

    try:
        return signal.Signals(int(text)).name if text.strip().isdecimal() else text.strip()
    except ValueError:
        return text


def _command(option: Option) -> str:
    """Return a command as it is written; one of several lines is quoted again."""
    try:
        words = shlex.split(option.text)
    except ValueError as problem:
        raise Problem(f"{option.where}: command can't be split: {str(problem).lower()}") from None
    if not words:
        raise Problem(f"{option.where}: command is empty")
    return command_line(words) if "\n" in option.text else option.text


def _variables(option: Option) -> dict[str, str]:
    """Return the variables of an `environment`: `A="x",B=y`."""
    lexer = shlex.shlex(option.text)
    lexer.wordchars += "/.+-():" + MARKS
    variables = {}
    try:
        tokens = list(lexer)
    except ValueError as problem:
        raise Problem(f"{option.where}: environment can't be read: {str(problem).lower()}") from None
    for position in range(0, len(tokens), 4):
        found = tokens[position : position + 3]
        if len(found) != 3 or found[1] != "=":
            raise Problem(f"{option.where}: environment is not NAME=value,NAME=value: '{option.text}'")
        variables[found[0]] = found[2].strip("'\"")
    return variables


def _filled(program: ImportedProgram, instance: int | None) -> dict[str, Any]:
    """Return the fields of a pattern as those of an instance, or with its placeholder."""
    mark, fields = str(_ANY_NUMBER), dict(program.fields)
    for key in ("command", "stdout_logfile", "stderr_logfile"):
        if key in fields:
            text = fields[key].replace(mark, "{instance}")
            fields[key] = text if instance is None else text.replace("{instance}", str(instance))
    return fields
