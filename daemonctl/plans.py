"""Plans as people read them: like a difference, a line for each value that is lost or new."""

import json
from collections.abc import Iterator
from typing import Any

from daemonctl import output

_SIGNS = {"create": "+", "change": "~", "remove": "-"}
_COLORS = {"+": "green", "~": "yellow", "-": "red"}
_COUNTED = {
    "create": "to create",
    "change": "to change",
    "remove": "to remove",
    "unchanged": "unchanged",
    "restarts": "to restart",
    "stops": "to stop",
}


def text_of(plan: dict[str, Any]) -> str:
    """Return a plan as text: each program that changes, field by field, and how many of each there are."""
    lines = [line for step in plan["plan"] if step["action"] in _SIGNS for line in _lines_of(step)]
    counts = [f"{plan['counts'][name]} {words}" for name, words in _COUNTED.items() if plan["counts"][name]]
    return "\n".join([*lines, ", ".join(counts) or "nothing to do"])


def changes_anything(plan: dict[str, Any]) -> bool:
    """Return whether a plan does anything."""
    return any(plan["counts"][action] for action in _SIGNS)


def ends_something(plan: dict[str, Any]) -> bool:
    """Return whether a plan removes a program, or ends or replaces a process."""
    return any(plan["counts"][name] for name in ("remove", "restarts", "stops"))


def _lines_of(step: dict[str, Any]) -> Iterator[str]:
    sign = _SIGNS[step["action"]]
    notes = [word for word in ("restarts", "stops") if step[word]]
    yield _line(sign, step["name"] + (f" ({', '.join(notes)})" if notes else ""))
    for change in step["changes"]:
        yield from _lines_of_field(change["field"], change["from"], change["to"])


def _lines_of_field(name: str, former: Any, wanted: Any) -> Iterator[str]:
    """Yield what a field loses and gets; of a map only what differs."""
    if (
        isinstance(former or wanted, dict)
        and isinstance(former or {}, dict)
        and isinstance(wanted or {}, dict)
    ):
        old, new = former or {}, wanted or {}
        for key in {**old, **new}:
            if old.get(key) != new.get(key):
                yield from _lines_of_field(f"{name}.{key}", old.get(key), new.get(key))
        return
    if former is not None:
        yield _line("-", f"  {name}: {_shown(former)}")
    if wanted is not None:
        yield _line("+", f"  {name}: {_shown(wanted)}")


def _shown(value: Any) -> str:
    is_plain = isinstance(value, str) and value.isprintable() and value.strip() == value != ""
    return value if is_plain else json.dumps(value, ensure_ascii=False)


def _line(sign: str, text: str) -> str:
    return output.paint(f"{sign} {text}", _COLORS[sign])
