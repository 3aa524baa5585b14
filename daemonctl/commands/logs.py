"""``logs``: what programs print, of several programs side by side."""

from typing import Any, NamedTuple

import click

from daemonctl import follow, options, output, selection
from daemonctl.client import Client
from daemonctl.selection import Program


class _Log(NamedTuple):
    """The log of a program, or of one of its instances."""

    name: str
    route: str
    query: dict[str, Any]


@click.command()
@options.selectors
@click.option("-f", "--follow", "follows", is_flag=True, help="Go on as lines are written, until Ctrl-C.")
@click.option("-n", "--lines", type=click.IntRange(0, 10000), default=100, help="So many of the last lines.")
@click.option("--stderr", is_flag=True, help="The log of standard error.")
@click.pass_context
def logs(context: click.Context, selectors: tuple[str, ...], follows: bool, lines: int, stderr: bool) -> None:
    """Show the last lines of logs; without selectors of all programs.

    Of several logs each line begins with the name of its program. Of a program with instances these are the
    logs of those that are not stopped. With -f lines are shown as they come; a lost connection is made again,
    and no line is lost or repeated.
    """
    client = options.client(context)
    chosen = selection.choose(client, selectors, everything=not selectors)
    found = [log for program in chosen for log in _logs_of(program, "stderr" if stderr else "stdout")]
    columns = max((output.width(log.name) for log in found), default=0)
    names = [
        output.paint(output.pad(log.name, columns), output.color_of(number)) + " | " if len(found) > 1 else ""
        for number, log in enumerate(found)
    ]
    if not follows:
        for name, text in zip(names, _read(client, found, lines), strict=True):
            for line in text.splitlines():
                click.echo(name + line)
        return
    sources = [follow.Source(f"{log.route}/logs/stream", {**log.query, "lines": lines}) for log in found]
    for number, event in follow.merged(client, sources, lambda sentence: click.echo(sentence, err=True)):
        if event.name == "line":
            click.echo(names[number] + event.data["line"])
        elif event.name == "error":
            click.echo(f"{found[number].name}: {event.data['error']}", err=True)
        elif event.name == "reset" and event.data.get("missed"):
            click.echo(f"{found[number].name}: lines are missing here", err=True)


def _logs_of(program: Program, stream: str) -> list[_Log]:
    if not program.has_instances:
        return [_Log(program.name, program.route, {"type": stream})]
    key = program.key_name
    return [
        _Log(each["instance_name"], program.route, {"type": stream, key: each[key]})
        for each in program.instances
    ]


def _read(client: Client, found: list[_Log], lines: int) -> list[str]:
    """Return the last lines of each log."""
    if not lines:
        return [""] * len(found)

    def read(log: _Log) -> str:
        return str(client.get(f"{log.route}/logs", **log.query, lines=lines)["logs"])

    return selection.side_by_side(read, found)
