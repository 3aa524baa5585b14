"""What several commands share: the client, selectors and their completion."""

from collections.abc import Callable
from typing import Any

import click
from click.shell_completion import CompletionItem

from daemonctl import contexts, selection
from daemonctl.client import Client
from daemonctl.problems import Problem

Command = Callable[..., Any]


def client(context: click.Context) -> Client:
    """Return the client of the daemon that the command line names."""
    given = context.find_root().params
    return Client(contexts.find(given.get("context"), given.get("host")))


def hub(context: click.Context) -> Client:
    """Return the client of the daemon itself, even if the command line names a host of it."""
    return Client(contexts.find(context.find_root().params.get("context"), host=""))


def complete(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Return the names of programs and the states that begin with what is typed."""
    try:
        names = [program.name for program in selection.programs(client(context))]
    except Problem:  # a prompt is no place for errors
        return []
    words = [*names, *(f"@{state}" for state in selection.STATES)] if typed.startswith("@") else names
    return [CompletionItem(word) for word in words if word.startswith(typed)]


def complete_hosts(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Return the names of a hub's hosts that begin with what is typed."""
    try:
        names = [host["name"] for host in hub(context).get("hosts")["hosts"]]
    except Problem:  # a prompt is no place for errors
        return []
    return [CompletionItem(name) for name in names if name.startswith(typed)]


selectors = click.argument("selectors", nargs=-1, metavar="[SELECTOR]...", shell_complete=complete)
everything = click.option("--all", "everything", is_flag=True, help="All programs.")
program = click.argument("name", metavar="NAME", shell_complete=complete)

since = click.option(
    "--since", metavar="TIME", help="Only from then on: such as 10m, 2h, 7d, or 2026-01-31T22:00:00 in UTC."
)


def pairs(texts: tuple[str, ...]) -> dict[str, str]:
    """Return what several KEY=VALUE say."""
    for text in texts:
        if "=" not in text:
            raise click.UsageError(f"'{text}' has no '='.")
    return {key: value for key, _, value in (text.partition("=") for text in texts)}


def report(sentence: str) -> None:
    """Tell of a lost connection."""
    click.echo(sentence, err=True)


def or_all(selectors: tuple[str, ...], everything: bool) -> tuple[str, ...]:
    """Return the selectors of a command that shows all programs without any, as it does with --all."""
    if selectors and everything:
        raise click.UsageError("Name programs, or give --all.")
    return selectors


def required(selectors: tuple[str, ...], everything: bool) -> None:
    """Refuse a command that names neither programs nor all of them."""
    if bool(selectors) == everything:
        raise click.UsageError("Name programs, or give --all.")
