"""The instances of a program: a grid of small tiles, one for each, and a table of those that run."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from daemon_programs.admin.presentation import runs, verbs
from daemon_programs.admin.presentation.badges import badge, severity_of
from daemon_programs.models import Program
from daemon_programs.programs.observed import statuses
from daemon_programs.programs.observed.findings import findings
from daemon_programs.supervisor.instances import Key, Keys
from daemon_programs.supervisor.states import ProgramState

MOST_ROWS_AT_ONCE = 20  # more of them are only shown when they are asked for
_MOST_TILES_AT_ONCE = 500
_TILES_IN_A_GROUP = 100

# One element for each tile: a thousand of them are brought up to date within a few milliseconds.
_TO_CHOOSE = (
    '<input type="checkbox" class="tile severity-{0}" name="key" value="{1}" aria-label="{1} {2}"'
    ' title="{1}: {2}{3}" autocomplete="off">'
)
_TO_SEE = '<span class="tile severity-{0}" role="img" aria-label="{1} {2}" title="{1}: {2}{3}">{1}</span>'


def grid(program: Program, state: ProgramState | None, *, may_operate: bool) -> dict[str, Any] | None:
    """Return the template context of the tiles, in groups if there are many; None without instances."""
    keys = program.keys
    if keys is None or not program.enabled:
        return None
    template = _TO_CHOOSE if may_operate else _TO_SEE
    groups = [_group(part, state, template) for part in _parts(keys)]
    words: Counter[str] = Counter()
    for group in groups:
        words.update(group["words"])
    return {
        "name": "Ports" if keys.kind.name == "port" else "Instances",
        "span": span(keys),
        "summary": _summary(words),
        "groups": groups,
        "is_grouped": len(groups) > 1,
    }


def rows(program: Program, state: ProgramState | None, *, may_operate: bool) -> list[dict[str, Any]]:
    """Return the template context of the instances that are not stopped."""
    return [_row(program, row, state, may_operate) for row in statuses.list_instances(program, state)]


def span(keys: Iterable[Key]) -> str:
    """Return keys in order as a list of ranges: "23200–23203, 23207"."""
    parts: list[list[int]] = []
    for key in keys:
        if parts and key.value == parts[-1][1] + 1:
            parts[-1][1] = key.value
        else:
            parts.append([key.value, key.value])
    return ", ".join(str(first) if first == last else f"{first}–{last}" for first, last in parts)


def _parts(keys: Keys) -> Iterator[list[Key]]:
    every = list(keys)
    size = len(every) if len(every) <= _MOST_TILES_AT_ONCE else _TILES_IN_A_GROUP
    return (every[first : first + size] for first in range(0, len(every), size))


def _group(keys: list[Key], state: ProgramState | None, template: str) -> dict[str, Any]:
    words: Counter[str] = Counter()
    tiles = []
    for key in keys:
        process = statuses.process_state(state, key.process)
        word = statuses.status_of(process)
        words[word] += 1
        pid = f", pid {process['pid']}" if process.get("pid") else ""
        tiles.append((severity_of(process).value, key.value, word, pid))
    html: SafeString = format_html_join("", template, tiles)
    return {"span": span(keys), "summary": _summary(words), "words": words, "tiles": html}


def _summary(words: Counter[str]) -> str:
    return ", ".join(f"{words[word]} {word}" for word in statuses.STATUSES if words[word])


def _row(
    program: Program, row: dict[str, Any], state: ProgramState | None, may_operate: bool
) -> dict[str, Any]:
    key = statuses.key_in(row)
    process = statuses.process_state(state, key.process)
    return {
        **findings(program, process),
        **runs.process_times(process),
        "key": key,
        "pid": process.get("pid"),
        "badge": badge(row["status"], "", severity_of(process)),
        "last_run": runs.last_run(process),
        "verbs": verbs.for_instance(program, process) if may_operate else [],
    }
