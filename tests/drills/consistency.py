"""Check that an idle stack is consistent, whatever has happened before.

The database, the configuration folder, the mirrors, supervisord, the process table and the history must hold
the same programs, and nothing that belongs to no program may be left. The tests read all of it themselves,
without the project's code where possible. The programs of drills are single processes, so that a program that
runs twice can be counted.
"""

import contextlib
import json
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from daemon_programs.exceptions import DaemonError
from daemon_programs.supervisor.client import Supervisor
from tests import database
from tests.processes import is_alive
from tests.stack import Stack

PARTS = ("api", "scheduler", "listener", "prober")
AT_REST = {"stopped", "exited", "fatal"}

Row = dict[str, Any]
Process = tuple[str, str]  # group and process, as supervisord calls them


def agree(stack: Stack, timeout: float = 30) -> None:
    """Wait until all sources agree on the stack's programs."""
    settle(lambda: differences(stack), timeout)


def settle(problems: Callable[[], list[str]], timeout: float) -> None:
    """Wait until there are no problems; raise AssertionError with those that stay."""
    deadline = time.monotonic() + timeout
    while found := problems():
        assert time.monotonic() < deadline, "\n".join(["this does not agree:", *found])
        time.sleep(0.1)


def differences(stack: Stack) -> list[str]:
    """Return a sentence for each difference from the database."""
    try:
        states = Supervisor(stack.folder / "supervisor.sock").states()["programs"]
    except DaemonError as problem:
        return [f"supervisord: {problem}"]
    programs = {f"program-{row['id']}": row for row in rows(stack, "daemon_programs_program")}
    launches = {
        row["temporary_id"]: row
        for row in rows(stack, "quick_start_ephemeralprogram")
        if row["ended_at"] is None
    }
    wanted = {group for group, row in programs.items() if row["enabled"]} | set(launches)
    return [
        *_compared("conf.d", _configured(stack), wanted),
        *_compared("supervisord", set(states), wanted),
        *(f"{group} is still being changed" for group, state in states.items() if state["changing"]),
        *_compared("programs.json", _mirrored(stack, "programs"), _described(programs.values(), "id")),
        *_compared(
            "ephemeral.json",
            _mirrored(stack, "ephemeral"),
            _described(launches.values(), "temporary_id"),
        ),
        *_process_table(stack, states),
        *_history(stack, states),
    ]


def rows(stack: Stack, table: str) -> list[Row]:
    """All rows of a table, in the order that they were made."""
    with database.opened(stack.folder) as opened:
        return opened.rows(f"SELECT * FROM {table} ORDER BY id")


def events(stack: Stack) -> dict[Process, list[Row]]:
    """The history of each process."""
    found = defaultdict(list)
    for row in rows(stack, "daemon_programs_event"):
        process = row["group"] if row["port"] is None else str(row["port"])
        found[row["group"], process].append(row)
    return found


def unfinished(stack: Stack) -> list[Path]:
    """Return files that a killed process was writing, which may stay until the next start."""
    return [*stack.folder.rglob(".*.tmp")]


def marked(stack: Stack) -> dict[Process, list[psutil.Process]]:
    """Return the living processes of the stack, by group and process name in supervisord."""
    found = defaultdict(list)
    for process, owner in stack.owners().items():
        if is_alive(process):
            found[owner.group, owner.process].append(process)
    return found


def complaints(stack: Stack, pattern: str = r"database is locked|Traceback|\bERROR\b") -> list[str]:
    """Return the lines of the stack's own logs that report errors."""
    return [
        f"{file.name}: {line}"
        for file in sorted((stack.folder / "stack-logs").iterdir())
        for line in file.read_text(errors="replace").splitlines()
        if re.search(pattern, line)
    ]


@contextlib.contextmanager
def explained(stack: Stack) -> Iterator[None]:
    """Add the ends of the stack's own logs to a failure, since its folder will be removed."""
    try:
        yield
    except BaseException as problem:
        for file in sorted((stack.folder / "stack-logs").glob("*.log")):
            lines = file.read_text(errors="replace").splitlines()
            problem.add_note("\n".join([f"--- {file.name}", *lines[-40:]]))
        raise


def _compared(where: str, found: set[Any], wanted: set[Any]) -> Iterator[str]:
    for each in sorted(found - wanted, key=str):
        yield f"{where} has {each}, the database has not"
    for each in sorted(wanted - found, key=str):
        yield f"{where} lacks {each}"


def _configured(stack: Stack) -> set[str]:
    files = (stack.folder / "conf.d").iterdir()
    return {file.name.removesuffix(".json") for file in files if not file.name.startswith(".")}


def _mirrored(stack: Stack, name: str) -> set[tuple[Any, ...]]:
    content = json.loads((stack.folder / f"{name}.json").read_bytes())
    (documents,) = content.values()
    return _described(documents, "id" if name == "programs" else "temporary_id")


def _described(documents: Any, id: str) -> set[tuple[Any, ...]]:
    """Return the fields that a row and its mirror share."""
    return {(each[id], each["name"], each["command"], each.get("description")) for each in documents}


def _process_table(stack: Stack, states: dict[str, Any]) -> Iterator[str]:
    """Check that each program of supervisord, and each part of the stack, runs exactly once."""
    alive = marked(stack)
    for part in PARTS:
        family = {process.pid for process in alive.pop((part, part), [])}
        if len(leaders := [pid for pid in family if _parent(pid) not in family]) != 1:
            yield f"{part} runs {len(leaders)} times"
    for (group, name), process in _processes(states):
        pids = [each.pid for each in alive.pop((group, name), [])]
        wanted = [process["pid"]] if "pid" in process else []
        if pids != wanted:
            yield f"{group}:{name} is {process['state']} with {wanted}, and runs as {pids}"
    for (group, name), processes in alive.items():
        yield f"{group}:{name} runs as {[each.pid for each in processes]}, and supervisord does not know it"


def _parent(pid: int) -> int | None:
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).ppid()
    return None


def _processes(states: dict[str, Any]) -> Iterator[tuple[Process, dict[str, Any]]]:
    for group, state in states.items():
        for name, process in state["processes"].items():
            yield (group, name), process


def _history(stack: Stack, states: dict[str, Any]) -> Iterator[str]:
    """Check that the history ends with the present states and has no gaps."""
    present = {process: state["state"] for process, state in _processes(states)}
    known = events(stack)
    for process in sorted(present.keys() | known.keys()):
        recorded = known[process][-1]["state"] if process in known else "stopped"
        now = present.get(process, "stopped")
        # A process that supervisord doesn't know is at rest; the history keeps its last state.
        if recorded != now and not (now == "stopped" and recorded in AT_REST):
            yield f"{':'.join(process)} is {now}, and the history says {recorded}"
        yield from _broken_links(process, known.get(process, []))


def _broken_links(process: Process, history: list[Row]) -> Iterator[str]:
    before = "stopped"
    for event in history:
        is_new = before in AT_REST and event["from_state"] == "stopped"  # registered again
        if event["from_state"] != before and not is_new and not event["is_gap"]:
            yield (
                f"{':'.join(process)} was {before}, and event {event['id']} goes from "
                f"{event['from_state']} to {event['state']}"
            )
        before = event["state"]
