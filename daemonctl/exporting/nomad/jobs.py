"""A job for each program, with one group and one task of the driver `raw_exec`."""

import math
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from daemonctl.exporting.nomad.hcl import Block, Verbatim, written
from daemonctl.exporting.program import Exported, ExportedProgram, File
from daemonctl.problems import Problem

_MAX_KILL_SECONDS = 30  # unless the client's max_kill_timeout is longer
_MIN_INTERVAL = 5  # seconds
_ATTEMPTS = 10  # within an interval, after which the next one is waited for
_DISK_DEFAULT, _DISK_SPARE = 300, 100  # MB of a group, which hold its logs too
_KEYS = {"{port}": "${NOMAD_PORT_main}", "{instance}": "${NOMAD_ALLOC_INDEX}"}
_LIMITS = {
    "nofile": ("n", 1),
    "nproc": ("u", 1),
    "core": ("c", 512),
    "as": ("v", 1024),
    "cpu": ("t", 1),
    "fsize": ("f", 512),
    "stack": ("s", 1024),
    "memlock": ("l", 1024),
}  # of `ulimit`: the option, and the bytes of its unit
_HEAD = (
    "raw_exec runs it without isolation, as it ran: on each client that may get it, its user, files and "
    "folder must be there. Clients have to allow the driver, and a user who is not the agent's.",
)


def write(programs: Sequence[Mapping[str, Any]], folder: Path) -> Exported:
    """Return the jobs of some programs. They hold the variables, which may be secret."""
    exported = Exported()
    for document in programs:
        program = ExportedProgram(document)
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", program.name).strip("-") or "program"
        if any(file.name == f"{name}.nomad.hcl" for file in exported.files):
            raise Problem(f"'{program.name}' would have the same job as another program: {name}")
        job = _job(name, program)
        program.note_the_rest()
        text = written(job, [program.description, *_HEAD, *program.notes])
        exported.files.append(File(f"{name}.nomad.hcl", text, is_secret=True))
        exported.notes += [f"{program.name}: {note}" for note in program.notes]
    return exported


def _job(name: str, program: ExportedProgram) -> Block:
    autorestart = program.take("autorestart")
    is_service = autorestart == "true" or (autorestart == "unexpected" and program.take("boot"))
    if is_service and autorestart == "unexpected":
        program.note("A service is started again after a successful end, too; one that is to end is a batch")
    program.take("boot")
    group: list[Any] = [
        ("count", len(program.keys)),
        _restart(program, autorestart),
        Block("reschedule", (), _reschedule(is_service)),
    ]
    if program.placeholder == "{port}":
        keys = program.keys
        program.note(f"Nomad chooses the ports; they were {keys[0]} to {keys[-1]}")
        group.append(Block("network", (), (Block("port", ("main",), ()),)))
    needed = math.prod(_logs(program)) * 2 + _DISK_SPARE
    if needed > _DISK_DEFAULT:
        group.append(Block("ephemeral_disk", (), (("size", needed),)))
    group.append(_task(program))
    return Block(
        "job",
        (name,),
        (
            ("datacenters", ["*"]),
            ("type", "service" if is_service else "batch"),
            Block("group", (name,), tuple(group)),
        ),
    )


def _restart(program: ExportedProgram, autorestart: str) -> Block:
    delay = program.take("restart_delay_seconds")
    limit = 0 if autorestart == "false" else program.take("restart_limit")
    attempts = _ATTEMPTS if limit is None else limit
    interval = max(attempts * max(delay, program.take("stable_seconds")), _MIN_INTERVAL)
    return Block(
        "restart",
        (),
        (
            ("attempts", attempts),
            ("interval", f"{interval}s"),
            ("delay", f"{delay}s"),
            ("mode", "delay" if limit is None else "fail"),
        ),
    )


def _reschedule(is_service: bool) -> tuple[tuple[str, Any], ...]:
    """Return that a service whose restarts are used up, and no other, is tried on another client."""
    if not is_service:
        return (("attempts", 0), ("unlimited", False))
    return (
        ("delay", "30s"),
        ("delay_function", "exponential"),
        ("max_delay", "1h"),
        ("unlimited", True),
    )


def _task(program: ExportedProgram) -> Block:
    grace = program.take("stop_grace_seconds")
    if grace > _MAX_KILL_SECONDS:
        program.note(f"kill_timeout: the clients' max_kill_timeout, {_MAX_KILL_SECONDS} s, must be longer")
    variables: dict[str, Any] = dict(program.environment())
    if key := _KEYS.get(program.placeholder or ""):
        variables[program.key_variable] = Verbatim(key)
    content: list[Any] = [
        ("driver", "raw_exec"),
        ("user", program.user),
        Block("config", (), (("command", "/bin/sh"), ("args", _arguments(program)))),
        ("kill_signal", f"SIG{program.take('stop_signal') if grace else 'KILL'}"),
        ("kill_timeout", f"{max(grace, 1)}s"),
    ]
    arguments = [*program.command(), *program.environment().values()]
    if any("${" in each for each in arguments):
        program.note("Nomad fills in what is like ${NOMAD_…} in arguments and variables")
    if variables:
        content.append(Block("env", (), tuple(variables.items())))
    memory = program.take("memory_limit_bytes")
    if memory:
        # The limit of a program is that of its whole tree, as Nomad's is.
        megabytes = -(-memory // 2**20)
        content.append(Block("resources", (), (("memory", max(megabytes, 10)),)))
    else:
        program.note("Without resources Nomad plans with 300 MB of memory and 100 MHz for it")
    files, megabytes = _logs(program)
    content.append(Block("logs", (), (("max_files", files), ("max_file_size", megabytes))))
    return Block("task", ("main",), tuple(content))


def _logs(program: ExportedProgram) -> tuple[int, int]:
    """Return how many files of how many megabytes each log has."""
    return program.take("log_backups") + 1, max(-(-program.take("log_max_bytes") // 2**20), 1)


def _arguments(program: ExportedProgram) -> list[Any]:
    """Return what a shell is given that makes what surrounds the command, and then becomes it."""
    directory = program.take("directory")
    lines = [f"umask {umask}"] if (umask := program.take("umask")) != "022" else []
    for name, limit in program.take("limits").items():
        option, unit = _LIMITS[name]
        lines.append(f"ulimit -S -{option} {limit if limit == 'unlimited' else -(-limit // unit)}")
    home = f"~{program.user}" if re.fullmatch(r"[A-Za-z0-9_.-]+", program.user) else "~"
    lines.append(f"cd {shlex.quote(directory) if directory else home}")
    nice = program.take("nice")
    start = f'exec {f"nice -n {nice} " if nice else ""}"$@"'
    given = [_filled(program, each) for each in program.command()]
    return ["-c", " && ".join([*lines, start]), "sh", *given]


def _filled(program: ExportedProgram, text: str) -> str | Verbatim:
    """Return a text with what Nomad fills in for the key of an instance; the rest is what it is."""
    placeholder = program.placeholder
    if placeholder is None or placeholder not in text:
        return text
    return Verbatim(re.sub(r"([$%])(?=\{)", r"\1\1", text).replace(placeholder, _KEYS[placeholder]))
