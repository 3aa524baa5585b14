"""What supervisord is to run, as data: the text of a program's file in the configuration folder.

Pure: from a ``Specification`` to text, nothing else. The plugin reads it back
(``plugin.configuration``). It is JSON and says what to run as an argument list and a map, so there
is no syntax that a command, a value or a path could break out of.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import PurePosixPath

PORT = "{port}"
# Of what names the program, or decides about later starts only.
_RESTARTS_NOTHING = {"restarts": False}


@dataclass(frozen=True)
class Specification:
    """A program to supervisord: one process, or one for each port of a range.

    ``{port}`` in an argument or a log path stands for the port, if there are ``ports``.
    """

    group: str  # supervisord's name of it: safe, unique, and not the user's
    name: str = field(metadata=_RESTARTS_NOTHING)  # the user's, for the history
    argv: list[str]
    user: str
    environment: dict[str, str] = field(default_factory=dict)
    directory: str | None = None  # None: the user's home
    stdout: str | None = None  # None: not kept
    stderr: str | None = None
    log_max_bytes: int = 0
    log_backups: int = 0
    autostart: bool = field(default=False, metadata=_RESTARTS_NOTHING)
    autorestart: str = field(default="unexpected", metadata=_RESTARTS_NOTHING)
    priority: int = field(default=999, metadata=_RESTARTS_NOTHING)
    delay_seconds: int = field(default=0, metadata=_RESTARTS_NOTHING)
    stop_grace_seconds: int = field(default=10, metadata=_RESTARTS_NOTHING)
    terminal: bool = False  # give it a terminal instead of pipes
    temporary: bool = False  # run once, at once; never again, also not when supervisord starts
    expires_at: float | None = None  # when it is stopped (seconds since the epoch)
    private_folder: str | None = None  # made for its user at each start, removed at each end
    ports: tuple[int, int] | None = None  # first and last

    def render(self) -> str:
        """The text of the program's file: ASCII, whatever the program's own text is."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"


# The keys of a program's file whose change needs no new process.
WITHOUT_RESTART = frozenset(
    each.name for each in fields(Specification) if not each.metadata.get("restarts", True)
)


def digest_of(text: bytes) -> str:
    """A short word that tells one program's file from another: whether supervisord has the latest."""
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def with_port(argv: list[str], parameter: list[str]) -> list[str]:
    """A port range's arguments: ``{port}`` where the command has it, else the parameter at its end.

    A parameter that ends in ``=`` takes the port without a space (contract, section 3).
    """
    if any(PORT in argument for argument in argv):
        return argv
    if parameter and parameter[-1].endswith("="):
        return [*argv, *parameter[:-1], parameter[-1] + PORT]
    return [*argv, *parameter, PORT]


def log_per_port(path: str) -> str:
    """A log path with a place for the port: where it says ``{port}``, else before the suffix."""
    if PORT in path:
        return path
    log = PurePosixPath(path)
    return str(log.with_name(f"{log.stem}_{PORT}{log.suffix}"))


def log_of_port(path: str, port: int) -> str:
    """The log of one instance."""
    return log_per_port(path).replace(PORT, str(port))
