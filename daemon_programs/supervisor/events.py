"""Entries of the plugin's journal, as the event listener reads them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from daemon_programs.supervisor.instances import Key, key_of
from daemon_programs.supervisor.states import LastRun, ProgramState

# The type of the remote communication event that wakes the listener. It carries no data: the listener
# then fetches the journal.
POKE = "journal"


@dataclass(frozen=True)
class StateChange:
    """A process of a program has changed its state."""

    number: int  # in the journal
    group: str
    process: str
    name: str  # the program's name at that time
    from_state: str
    state: str
    at: datetime
    by: str  # who caused it: see `daemon_programs.actors`
    pid: int | None  # also of a run that has just ended
    last_run: LastRun | None  # of a run that has just ended

    @property
    def key(self) -> Key | None:
        """Return the key of an instance; None for the only process of a program."""
        return None if self.process == self.group else key_of(self.process)

    def __str__(self) -> str:
        name = self.group if self.process == self.group else f"{self.group}:{self.process}"
        text = f"{name}: {self.from_state} -> {self.state}"
        if self.pid:
            text += f", pid {self.pid}"
        if self.last_run:
            text += f", {_outcome(self.last_run)}"
        return text


@dataclass(frozen=True)
class ProgramEnd:
    """A temporary program has ended for good: nothing of it runs or will run again."""

    group: str
    state: ProgramState  # at its end


Entry = StateChange | ProgramEnd


def read(entry: dict[str, Any]) -> Entry:
    """Return a journal entry as an object. Raise KeyError or ValueError if it can't be read."""
    if "end" in entry:
        return ProgramEnd(entry["group"], entry["end"])
    # The last run is reported with every later change too; only the change that ended it is to have it.
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
        return "it could not be run"  # the reason may quote the command, which may hold secrets
    if last_run["signal"]:
        return f"ended by {last_run['signal']}"
    return f"exit code {last_run['exit_code']}"
