"""What supervisord is to run: the format of a program's file in the configuration folder.

The file is JSON; ``plugin.configuration`` reads it. What to run is an argument list and a map, so there is
no syntax that a command, a value or a path could break out of. Pure functions, without side effects.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import PurePosixPath
from typing import Any

from daemon_programs.supervisor.instances import PORT, Key, KeyKind

RELOAD_SECONDS = 30  # that the command of a reload may take
# For fields that name the program, or take effect at its next start or stop.
_RESTARTS_NOTHING = {"restarts": False}
# For those of them that a process takes no notice of before its next start.
_AT_NEXT_START = {**_RESTARTS_NOTHING, "at_next_start": True}


@dataclass(frozen=True)
class Specification:
    """A program as supervisord runs it: one process, one for each port of a range, or ``numprocs``.

    If there are several, ``{port}`` or ``{instance}`` in an argument or a log path stands for their key.
    """

    group: str  # its name in supervisord: made of the id, so unique and without special characters
    name: str = field(metadata=_RESTARTS_NOTHING)  # its name in the API, for the history
    argv: list[str]
    user: str
    environment: dict[str, str] = field(default_factory=dict)
    env_files: list[str] = field(default_factory=list)  # their paths; `-` before one that may be missing
    umask: str = "022"  # in octal digits
    nice: int = 0  # 0: as supervisord itself
    limits: dict[str, int | str] = field(default_factory=dict)  # by resource: a number, or "unlimited"
    directory: str | None = None  # None for the user's home
    stdout: str | None = None  # None if output is dropped
    stderr: str | None = None
    log_max_bytes: int = 0
    log_backups: int = 0
    redirect_stderr: bool = False  # to the log of standard output
    log_timestamps: bool = False  # at the beginning of each line
    autostart: bool = field(default=False, metadata=_RESTARTS_NOTHING)
    autorestart: str = field(default="unexpected", metadata=_RESTARTS_NOTHING)
    priority: int = field(default=999, metadata=_RESTARTS_NOTHING)
    delay_seconds: int = field(default=0, metadata=_AT_NEXT_START)
    stop_grace_seconds: int = field(default=10, metadata=_RESTARTS_NOTHING)
    start_seconds: int = field(default=1, metadata=_RESTARTS_NOTHING)
    start_retries: int | None = field(default=3, metadata=_RESTARTS_NOTHING)  # None: without end
    restart_delay_seconds: int = field(default=1, metadata=_RESTARTS_NOTHING)
    restart_delay_max_seconds: int = field(default=60, metadata=_RESTARTS_NOTHING)
    stable_seconds: int = field(default=60, metadata=_RESTARTS_NOTHING)
    restart_limit: int | None = field(default=None, metadata=_RESTARTS_NOTHING)
    exit_codes: list[int] = field(default_factory=lambda: [0], metadata=_RESTARTS_NOTHING)
    max_runtime_seconds: int | None = field(default=None, metadata=_RESTARTS_NOTHING)
    stop_signal: str = field(default="TERM", metadata=_RESTARTS_NOTHING)
    stop_scope: str = field(default="main", metadata=_RESTARTS_NOTHING)
    # What a reload does: {"signal": name} or {"argv": [...]}, with placeholders of the key.
    reload: dict[str, Any] | None = field(default=None, metadata=_RESTARTS_NOTHING)
    # What is run before each start: {"argv": [...], "timeout": seconds}, with placeholders of the key.
    before_start: list[dict[str, Any]] = field(default_factory=list, metadata=_AT_NEXT_START)
    memory_limit_bytes: int | None = field(default=None, metadata=_RESTARTS_NOTHING)
    stdin: str = "null"  # or "pipe"
    ready: dict[str, Any] | None = field(default=None, metadata=_RESTARTS_NOTHING)  # see `supervisor.probes`
    health: dict[str, Any] | None = field(default=None, metadata=_RESTARTS_NOTHING)
    # What each start waits for: names of programs, and conditions
    depends_on: list[dict[str, str]] = field(default_factory=list, metadata=_AT_NEXT_START)
    terminal: bool = False  # a pseudo terminal takes the place of the pipes
    temporary: bool = False  # run once, at once, and not when supervisord is started again
    expires_at: float | None = None  # when it is stopped, in seconds since the epoch
    private_folder: str | None = None  # created for its user at each start, removed at each end
    ports: tuple[int, int] | None = None  # first and last
    numprocs: int = 1  # without ports

    def render(self) -> str:
        """Return the text of the program's file, in ASCII."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"


# What the keys of a program's file stand for that it lacks.
DEFAULTS: dict[str, Any] = {
    key: value
    for key, value in asdict(Specification(group="", name="", argv=[], user="")).items()
    if key not in ("group", "name", "argv", "user")
}

# Keys of a program's file that can change without a restart.
WITHOUT_RESTART = frozenset(
    each.name for each in fields(Specification) if not each.metadata.get("restarts", True)
)

# Those of them that count from the next start on.
AT_NEXT_START = tuple(each.name for each in fields(Specification) if each.metadata.get("at_next_start"))


def runs_the_same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether a process of one specification can go on with the other, both as maps of keys."""
    return _what_runs(one) == _what_runs(other)


def _what_runs(specification: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in specification.items() if key not in WITHOUT_RESTART}


def digest_of(text: bytes) -> str:
    """Return a digest of a program's file, which shows whether supervisord has the latest version."""
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def with_port(argv: list[str], parameter: list[str]) -> list[str]:
    """Return the arguments of a port range, with ``{port}`` where the port goes.

    If the command does not contain ``{port}``, the parameter and the port are appended; they are joined
    if the parameter ends in ``=`` (docs/contract.md, section 3).
    """
    placeholder = PORT.placeholder
    if any(placeholder in argument for argument in argv):
        return argv
    if parameter and parameter[-1].endswith("="):
        return [*argv, *parameter[:-1], parameter[-1] + placeholder]
    return [*argv, *parameter, placeholder]


def log_per_instance(path: str, kind: KeyKind) -> str:
    """Return a log path with the placeholder of the key; if it had none, it is inserted before the suffix.

    A device is shared by all instances.
    """
    if kind.placeholder in path or path.startswith(("/dev/", "/proc/")):
        return path
    log = PurePosixPath(path)
    return str(log.with_name(f"{log.stem}_{kind.placeholder}{log.suffix}"))


def log_of_instance(path: str, key: Key) -> str:
    """Return the log path of one instance."""
    return key.fill(log_per_instance(path, key.kind))
