"""What the plugin's journal tells of, read for the event listener."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from daemon_programs.supervisor.states import LastRun, ProgramState

# The type of the one remote communication event that wakes the listener; what there is, it fetches.
POKE = "journal"


@dataclass(frozen=True)
class StateChange:
    """One process of a program has gone from one state to another."""

    number: int  # in the journal
    group: str
    process: str
    name: str  # the program's at that time
    from_state: str
    state: str
    at: datetime
    by: str  # who has brought it about: see `daemon_programs.actors`
    pid: int | None  # of a run that has just ended too
    last_run: LastRun | None  # of a run that has just ended

    @property
    def port(self) -> int | None:
        """The port of an instance of a port range."""
        return None if self.process == self.group else int(self.process)

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
    state: ProgramState  # as the client's ``state`` answers it


Entry = StateChange | ProgramEnd


def read(entry: dict[str, Any]) -> Entry:
    """An entry of the journal; raises KeyError or ValueError for what is none."""
    if "end" in entry:
        return ProgramEnd(entry["group"], entry["end"])
    # How a run ended belongs to the change that ended it, also if somebody stopped it.
    ended = entry["state"] in ("exited", "fatal", "backoff") or (
        entry["state"] == "stopped" and entry["from"] == "stopping"
    )
    last_run: LastRun | None = entry.get("last_run") if ended else None
    return StateChange(
        number=entry["number"],
        group=entry["group"],
        process=entry["process"],
        name=entry["name"],
        from_state=entry["from"],
        state=entry["state"],
        at=datetime.fromtimestamp(entry["at"], UTC),
        by=entry["by"].encode().decode("unicode_escape"),
        pid=entry.get("pid") or (last_run and last_run["pid"]) or None,
        last_run=last_run,
    )


def _outcome(last_run: LastRun) -> str:
    if last_run["error"]:
        return "it could not be run"  # the reason may quote the command, which is not for logs
    if last_run["signal"]:
        return f"ended by {last_run['signal']}"
    return f"exit code {last_run['exit_code']}"
