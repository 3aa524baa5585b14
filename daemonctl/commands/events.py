"""``events``: the history of programs."""

import json
from typing import Any

import click

from daemonctl import options, output, selection
from daemonctl.commands.status import ended

_MOST_EVENTS = 1000  # of one answer
_STATES = [state for state in selection.STATES if state != "disabled"]  # which is no state that is recorded


@click.command()
@options.selectors
@options.everything
@click.option("-f", "--follow", "follows", is_flag=True, help="Go on as events come, until Ctrl-C.")
@click.option(
    "-n", "--lines", type=click.IntRange(1, _MOST_EVENTS), default=20, help="So many of the last events: 20."
)
@options.since
@click.option("--state", type=click.Choice(_STATES), metavar="STATE", help="Only changes to this state.")
@click.option(
    "-o", "--output", "form", type=click.Choice(["table", "json"]), default="table", help="The form."
)
@click.pass_context
def events(
    context: click.Context,
    selectors: tuple[str, ...],
    everything: bool,
    follows: bool,
    lines: int,
    since: str | None,
    state: str | None,
    form: str,
) -> None:
    """Show the last state changes, oldest first: what happened, and who asked for it.

    With selectors only those of the programs that are met now. `-o json` prints a document per line.
    """
    client = options.client(context)
    selectors = options.or_all(selectors, everything)
    ids = [program.id for program in selection.choose(client, selectors)] if selectors else None
    given = {"since": since, "state": state}
    filters = {key: value for key, value in given.items() if value is not None}
    newest = client.get("events", limit=1)["events"]  # first: what happens meanwhile is streamed, or found
    routes = ["events"] if ids is None else [_route(id) for id in ids]
    limit = lines if "events" not in routes or ids is None else _MOST_EVENTS
    answers = selection.side_by_side(lambda route: client.get(route, limit=limit, **filters), routes)
    by_id = {each["id"]: each for answer in answers for each in answer["events"] if _is_of(each, ids)}
    found = [by_id[id] for id in sorted(by_id)]
    shown = 0
    for event in found[-lines:]:
        _show(event, form)
        shown = event["id"]
    if follows:
        query = {key: value for key, value in {"state": state, "program": _only(ids)}.items() if value}
        after = str(newest[0]["id"] if newest else 0)
        for event in client.stream("events/stream", query, after=after, report=options.report):
            if event.name == "state" and event.data["id"] > shown and _is_of(event.data, ids):
                _show(event.data, form)


def _route(id: Any) -> str:
    """Return the route of a program's events; temporary programs have none of their own."""
    return f"programs/{id}/events" if isinstance(id, int) else "events"


def _only(ids: list[Any] | None) -> Any:
    """Return the id of a single program, whose events the API chooses by itself."""
    return ids[0] if ids is not None and len(ids) == 1 and isinstance(ids[0], int) else None


def _is_of(event: dict[str, Any], ids: list[Any] | None) -> bool:
    return ids is None or event.get("program_id") in ids or event.get("temporary_id") in ids


def _show(event: dict[str, Any], form: str) -> None:
    click.echo(json.dumps(event, ensure_ascii=False) if form == "json" else _line(event))


def _line(event: dict[str, Any]) -> str:
    name = event["name"]
    if key := next((event[key] for key in ("port", "instance") if key in event), None):
        name = f"{name}_{key}"
    state = output.paint(event["state"], output.STATE_COLORS.get(event["state"]))
    by = event["by"] + (f" ({event['user']})" if event.get("user") else "")
    parts = [event["at"], name, f"{event['from_state']} -> {state}", ended(event), f"by {by}"]
    return "  ".join(part for part in parts if part)
