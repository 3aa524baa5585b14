"""``events``: the history of programs."""

import json
from typing import Any

import click

from daemonctl import options, output, selection
from daemonctl.commands.status import ended


@click.command()
@options.selectors
@click.option("-f", "--follow", "follows", is_flag=True, help="Go on as events come, until Ctrl-C.")
@click.option("-n", "--lines", type=click.IntRange(1, 1000), default=20, help="So many of the last events.")
@click.option(
    "-o", "--output", "form", type=click.Choice(["table", "json"]), default="table", help="The form."
)
@click.pass_context
def events(context: click.Context, selectors: tuple[str, ...], follows: bool, lines: int, form: str) -> None:
    """Show the last state changes, oldest first: what happened, and who asked for it.

    With selectors only those of the programs that are met now. `-o json` prints a document per line.
    """
    client = options.client(context)
    ids = {program.id for program in selection.choose(client, selectors)} if selectors else None

    def show(event: dict[str, Any]) -> None:
        if ids is None or event.get("program_id") in ids or event.get("temporary_id") in ids:
            click.echo(json.dumps(event, ensure_ascii=False) if form == "json" else _line(event))

    found = [
        event
        for route in (
            ["events"] if ids is None else [f"programs/{id}/events" for id in sorted(map(str, ids))]
        )
        for event in client.get(route, limit=lines)["events"]
    ]
    found.sort(key=lambda event: int(event["id"]))
    for event in found[-lines:]:
        show(event)
    if follows:
        newest = client.get("events", limit=1)["events"]
        after = str(found[-1]["id"] if found and ids is None else newest[0]["id"] if newest else 0)
        report = lambda sentence: click.echo(sentence, err=True)  # noqa: E731
        for event in client.stream("events/stream", {}, after=after, report=report):
            if event.name == "state":
                show(event.data)


def _line(event: dict[str, Any]) -> str:
    name = event["name"]
    if key := next((event[key] for key in ("port", "instance") if key in event), None):
        name = f"{name}_{key}"
    state = output.paint(event["state"], output.STATE_COLORS.get(event["state"]))
    by = event["by"] + (f" ({event['user']})" if event.get("user") else "")
    parts = [event["at"], name, f"{event['from_state']} -> {state}", ended(event), f"by {by}"]
    return "  ".join(part for part in parts if part)
