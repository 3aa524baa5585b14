"""``describe``, ``add``, ``edit``, ``attach``: one program."""

import difflib
import getpass
import json
import os
import shlex
from typing import Any

import click

from daemonctl import options, output, selection
from daemonctl.commands.status import status_route
from daemonctl.problems import Absent, Problem

_READ_ONLY = ("id", "hoody_kit", "status", "stats")


@click.command()
@options.program
@click.option("-o", "--output", "form", type=click.Choice(["yaml", "json"]), default="yaml", help="The form.")
@click.pass_context
def describe(context: click.Context, name: str, form: str) -> None:
    """Show all that is known of a program: its fields, its state, and its last events."""
    client = options.client(context)
    program = selection.one(client, name)
    if program.is_temporary:
        click.echo(output.document(client.get(f"{program.route}/status"), form))
        return
    known = {
        "program": client.get(program.route)["program"],
        **client.get(f"status/{program.id}", include_stats=True),
        "events": client.get(f"{program.route}/events", limit=5)["events"],
    }
    known.pop("success")
    click.echo(output.document(known, form))


@click.command()
@click.argument("name")
@click.option("--user", help="The system user; by default the one who calls.")
@click.option("--dir", "directory", help="The folder that it runs in; by default the user's home.")
@click.option("--boot", is_flag=True, help="Start it now, and whenever the daemon starts.")
@click.option("-l", "--label", "labels", multiple=True, metavar="KEY=VALUE", help="A label.")
@click.option("-e", "--env", "environment", multiple=True, metavar="NAME=VALUE", help="A variable.")
@click.option(
    "--set", "fields", multiple=True, metavar="FIELD=JSON", help="Any other field, such as numprocs=3."
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def add(
    context: click.Context,
    name: str,
    user: str | None,
    directory: str | None,
    boot: bool,
    labels: tuple[str, ...],
    environment: tuple[str, ...],
    fields: tuple[str, ...],
    command: tuple[str, ...],
) -> None:
    """Add a program: `daemonctl add web -- python3 -m http.server`."""
    program: dict[str, Any] = {
        "name": name,
        "command": shlex.join(command),
        "user": user or getpass.getuser(),
        **({"directory": os.path.abspath(directory)} if directory else {}),  # noqa: PTH100
        **({"boot": True} if boot else {}),
        **({"labels": options.pairs(labels)} if labels else {}),
        **({"environment": options.pairs(environment)} if environment else {}),
    }
    for key, text in options.pairs(fields).items():
        try:
            program[key] = json.loads(text)
        except ValueError:
            program[key] = text
    answer = options.client(context).post("programs/add", program)
    click.echo(f"{name}: added, with the id {answer['id']}")


@click.command()
@options.program
@click.option("-y", "--yes", is_flag=True, help="Save without asking.")
@click.pass_context
def edit(context: click.Context, name: str, yes: bool) -> None:
    """Edit the fields of a program in $EDITOR, as YAML.

    The changes are shown before they are saved. Only what was changed is sent, so that changes that others
    make meanwhile to other fields are kept. A field that is removed gets its default back if it is optional.
    """
    import yaml

    client = options.client(context)
    program = selection.one(client, name)
    before = {
        key: value for key, value in client.get(program.route)["program"].items() if key not in _READ_ONLY
    }
    text = output.document(before, "yaml") + "\n"
    edited = click.edit(text, extension=".yaml", require_save=False)
    try:
        after = yaml.safe_load(edited or "")
    except yaml.YAMLError as problem:
        raise Problem(f"That is no YAML: {problem}") from None
    if not isinstance(after, dict):
        raise Problem("That is no map of fields; nothing was changed.")
    changes = {key: after.get(key) for key in {**before, **after} if before.get(key) != after.get(key)}
    if not changes:
        click.echo("Nothing was changed.")
        return
    for line in _difference(text, output.document(after, "yaml") + "\n"):
        click.echo(line)
    if not yes:
        click.confirm("Save this?", abort=True)
    client.post(f"programs/edit/{program.id}", changes)
    click.echo(f"{program.name}: edited")


def _difference(before: str, after: str) -> list[str]:
    colors = {"+": "green", "-": "red"}
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "now", "edited", lineterm="")
    return [output.paint(line, colors.get(line[:1])) for line in lines]


@click.command()
@options.program
@click.pass_context
def attach(context: click.Context, name: str) -> None:
    """Join the tmux session of a program that runs on this host; C-b d leaves it."""
    client = options.client(context)
    program = selection.one(client, name)
    answer = client.get(status_route(program))
    status = answer.get("status")
    command = (status if isinstance(status, dict) else answer).get("attach")
    if not command:
        raise Absent(f"{program.name} has no tmux session that runs")
    words = shlex.split(command)
    try:
        os.execvp(words[0], words)
    except OSError as problem:
        raise Problem(f"{words[0]} can't be run: {problem.strerror}") from None
