"""``context``: daemons by name."""

from pathlib import Path

import click
from click.shell_completion import CompletionItem

from daemonctl import contexts, output
from daemonctl.problems import Problem

_file = click.Path(exists=True, dir_okay=False, path_type=Path)


def _complete(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    try:
        names = [contexts.LOCAL, *contexts.Contexts.read().all]
    except Problem:
        return []
    return [CompletionItem(name) for name in names if name.startswith(typed)]


_name = click.argument("name", shell_complete=_complete)


def _address(context: dict[str, str]) -> str:
    return f"{context['url']}, host {context['host']}" if "host" in context else context["url"]


@click.group()
def context() -> None:
    """Name daemons of other hosts, and choose the one in use."""


@context.command()
@_name
@click.argument("url")
@click.option(
    "--token-file", type=_file, required=True, help="The file with the token; it stays where it is."
)
@click.option("--ca", type=_file, help="The certificates to trust, instead of the system's.")
@click.option("--host", metavar="NAME", help="A host of that hub, instead of the daemon itself.")
def add(name: str, url: str, token_file: Path, ca: Path | None, host: str | None) -> None:
    """Add a daemon by its URL, such as https://daemon.example.com."""
    if name == contexts.LOCAL:
        raise click.UsageError("'local' is the stack of this host.")
    if not url.startswith(("http://", "https://")):
        raise click.UsageError(f"'{url}' is not an address such as https://daemon.example.com.")
    known = contexts.Contexts.read()
    known.add(name, url, token_file, ca, host)
    known.write()


@context.command()
@_name
def use(name: str) -> None:
    """Use a daemon from now on; `local` is the stack of this host."""
    known = contexts.Contexts.read()
    known.use(name)
    known.write()


@context.command()
@_name
def rm(name: str) -> None:
    """Forget a daemon."""
    known = contexts.Contexts.read()
    known.remove(name)
    known.write()


@context.command("list")
def list_() -> None:
    """List the daemons. An asterisk marks the one in use."""
    known = contexts.Contexts.read()
    rows = [(contexts.LOCAL, "the stack of this host"), *((n, _address(c)) for n, c in known.all.items())]
    columns = max(output.width(name) for name, _ in rows)
    for name, url in rows:
        click.echo(f"{'*' if name == known.current else ' '} {output.pad(name, columns)}  {url}")
