"""State changes as the plugin tells them, for the event listener."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

# The plugin's name for its texts among supervisord's remote communication events.
EVENT_TYPE = "program-state"
END_EVENT_TYPE = "program-end"


@dataclass(frozen=True)
class StateChange:
    """One process of a program has gone from one state to another."""

    group: str
    process: str
    from_state: str
    state: str
    at: datetime
    pid: int | None
    last_run: dict[str, Any] | None  # of a run that has just ended

    def __str__(self) -> str:
        name = self.group if self.process == self.group else f"{self.group}:{self.process}"
        words = f"{name}: {self.from_state} -> {self.state}"
        if self.pid:
            words += f", pid {self.pid}"
        if self.last_run:
            words += f", {_outcome(self.last_run)}"
        return words


@dataclass(frozen=True)
class ProgramEnd:
    """A temporary program is over: nothing of it runs, nor will."""

    group: str
    state: dict[str, Any]  # as the client's ``state`` answers it


def parse(payload: str) -> StateChange | ProgramEnd | None:
    """What an event's payload tells of; None if it tells of something else.

    Raises ValueError or KeyError for what only looks right.
    """
    header, _, text = payload.partition("\n")
    if header == f"type:{END_EVENT_TYPE}":
        return ProgramEnd(**json.loads(text))
    if header != f"type:{EVENT_TYPE}":
        return None
    told = json.loads(text)
    ended = told["state"] in ("exited", "fatal", "backoff", "stopped")
    return StateChange(
        group=told["group"],
        process=told["process"],
        from_state=told["from"],
        state=told["state"],
        at=datetime.fromtimestamp(told["at"], UTC),
        pid=told.get("pid"),
        last_run=told.get("last_run") if ended else None,
    )


def _outcome(last_run: dict[str, Any]) -> str:
    if last_run["error"]:
        return "it could not be run"  # the reason may quote the command, which is not for logs
    if last_run["signal"]:
        return f"ended by {last_run['signal']}"
    return f"exit code {last_run['exit_code']}"
