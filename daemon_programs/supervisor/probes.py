"""The vocabulary of probes, for the rules of the fields, the plugin and the prober. Does not import Django.

A probe is stored as clients write it, such as ``{"http": "http://127.0.0.1:{port}/", "interval": 2}``.
`Probe` is one that is complete, for one process.
"""

from dataclasses import dataclass
from typing import Any

from daemon_programs.supervisor.instances import Key

KINDS = ("port", "http", "command", "log", "notify")
RESTART, NONE = "restart", "none"  # what becomes of a program that is not healthy
STARTED, READY, COMPLETED = "started", "ready", "completed"
CONDITIONS = (STARTED, READY, COMPLETED)


@dataclass(frozen=True)
class Probe:
    """How a process is probed. Times are seconds."""

    kind: str
    target: Any  # a port, a URL, an argument list, a regular expression, or true
    status: int = 200  # of HTTP
    interval: int = 5
    timeout: int = 3
    after_seconds: int = 0
    successes: int = 1  # in a row, until it counts as ready or healthy
    failures: int = 3  # in a row, until it counts as unhealthy
    grace_seconds: int = 60  # failures don't count so long after the start, unless it has succeeded once
    action: str = RESTART

    @classmethod
    def of(cls, document: dict[str, Any], key: Key | None = None) -> "Probe":
        """Return the probe of a document, with the key of an instance in the place of its placeholder."""
        kind = next(kind for kind in KINDS if kind in document)
        target = document[kind]
        if key is not None:
            target = _with_key(target, key)
        if kind == "port":
            target = int(target)
        return cls(kind, target, **{key: value for key, value in document.items() if key != kind})


def _with_key(target: Any, key: Key) -> Any:
    if isinstance(target, str):
        return key.fill(target)
    if isinstance(target, list):
        return [key.fill(argument) for argument in target]
    return target
