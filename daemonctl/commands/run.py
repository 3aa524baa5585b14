"""``run``: a temporary program in the foreground, as if it ran in this terminal."""

import getpass
import shlex
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import click

from daemonctl import follow, options, standard_input
from daemonctl.client import Client, insist
from daemonctl.problems import Absent, Refused

_CANNOT_RUN = 127  # as shells have it
_INTERRUPTED = 130
_STREAMS = ("stdout", "stderr")


@click.command(context_settings={"allow_interspersed_args": False})  # options may be the command's
@click.option("--user", help="The system user; by default the one who calls.")
@click.option("--dir", "directory", help="The folder that it runs in; by default the user's home.")
@click.option("-e", "--env", "environment", multiple=True, metavar="NAME=VALUE", help="A variable.")
@click.option("--ttl", type=click.IntRange(1, 86400), metavar="SECONDS", help="Stop it after so long.")
@click.option(
    "--on",
    "hosts",
    multiple=True,
    metavar="LABEL=VALUE|NAME",
    help="Of a hub: run it on the host with the most room, of those with that label, or a name like that.",
)
@click.option("-d", "--detach", is_flag=True, help="Print its id, and leave it running.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def run(
    context: click.Context,
    user: str | None,
    directory: str | None,
    environment: tuple[str, ...],
    ttl: int | None,
    hosts: tuple[str, ...],
    detach: bool,
    command: tuple[str, ...],
) -> None:
    """Run a COMMAND once, and show what it prints: `daemonctl run -- make test`.

    Ctrl-C interrupts it; a second one leaves it to the daemon to end it. The exit code is that of the
    command, 128 and the number of a signal that ended it, or 127 if it could not be run. It goes on while the
    connection is lost. Standard input is passed on if it is text, and not a terminal. With `-d` and `--on`
    the name of the host is printed before the id.
    """
    client = options.hub(context) if hosts else options.client(context)
    has_input = not detach and standard_input.is_given(sys.stdin)
    wanted: dict[str, Any] = {
        "command": shlex.join(command),
        "user": user or getpass.getuser(),
        "directory": directory and str(Path(directory).absolute()),
        "environment": _variables(environment),
        "ttl": ttl,
        "autorestart": "false",
        "start_seconds": 0,  # no run is too short to count
        "stop_signal": "INT",  # what Ctrl-C sends
        "stdin": "pipe" if has_input else None,
    }
    if hosts:
        wanted["hosts"] = _chosen(hosts)
    launched = client.post(
        "fleet/quick-start" if hosts else "quick-start",
        {key: value for key, value in wanted.items() if value is not None},
    )
    id, host = launched["temporary_id"], launched.get("host")
    if detach:
        click.echo(f"{host} {id}" if hosts else id)
        return
    route = f"hosts/{host}/api/v1/daemon/quick-start/{id}" if hosts else f"quick-start/{id}"
    if has_input:
        standard_input.pass_on(client, route, sys.stdin.fileno())
    sys.exit(_foreground(client, route))


def _variables(texts: tuple[str, ...]) -> dict[str, str]:
    for text in texts:
        if "=" not in text:
            raise click.UsageError(f"'{text}' is not NAME=VALUE.")
    return {name: value for name, _, value in (text.partition("=") for text in texts)}


def _chosen(texts: tuple[str, ...]) -> dict[str, Any]:
    """Return which hosts may be chosen: one of the names, and all of the labels."""
    labels = [text for text in texts if "=" in text]
    names = [text for text in texts if "=" not in text]
    return {**({"names": names} if names else {}), **({"labels": labels} if labels else {})}


def _foreground(client: Client, route: str) -> int:
    """Show the output of a temporary program until it has ended, and return its exit code."""
    interrupts = 0

    def interrupt(number: int, frame: object) -> None:
        nonlocal interrupts
        interrupts += 1
        if interrupts > 1:
            raise KeyboardInterrupt
        stop = threading.Thread(target=lambda: insist(lambda: _stop(client, route)), daemon=True)
        stop.start()

    signal.signal(signal.SIGINT, interrupt)
    sources = [follow.Source(f"{route}/logs/stream", {"type": stream, "lines": 10000}) for stream in _STREAMS]
    outputs = [sys.stdout.buffer, sys.stderr.buffer]
    for number, event in follow.merged(client, sources, options.report):
        if event.name == "line":
            outputs[number].write(event.data["line"].encode() + b"\n")
            outputs[number].flush()
    return _exit_code(insist(lambda: client.get(f"{route}/status")))


def _stop(client: Client, route: str) -> None:
    try:
        client.post(f"{route}/stop")
    except (Absent, Refused) as problem:  # it has ended meanwhile, or takes its time
        click.echo(problem.message, err=True)


def _exit_code(status: dict[str, Any]) -> int:
    ended = status.get("last_run") or {}
    if ended.get("exit_code") is not None:
        return int(ended["exit_code"])
    if ended.get("signal"):
        return 128 + signal.Signals[ended["signal"]].value
    if ended.get("error"):
        click.echo(ended["error"], err=True)
        return _CANNOT_RUN
    return _INTERRUPTED  # it was stopped before it ran
