"""What is done with programs: start, stop, restart, reload, signal, enable, disable, rm."""

import sys
from collections.abc import Callable
from typing import Any

import click

from daemonctl import options, output, selection
from daemonctl.client import Client
from daemonctl.problems import Problem
from daemonctl.selection import Program

_instance = click.option(
    "-i", "--instance", type=int, metavar="KEY", help="Only this instance: its port or number."
)
_no_wait = click.option("--no-wait", is_flag=True, help="Return before the programs run.")
_timeout = click.option("--timeout", type=click.IntRange(1, 300), default=30, help="Seconds to wait at most.")


@click.command()
@options.selectors
@options.everything
@_instance
@_no_wait
@_timeout
@click.pass_context
def start(context: click.Context, instance: int | None, no_wait: bool, timeout: int, **chosen: Any) -> None:
    """Start programs, and wait until they run (with a probe: until they are ready)."""
    body = {} if no_wait else {"wait": True, "timeout": timeout}
    _each(context, "start", "started", body, instance, **chosen)


@click.command()
@options.selectors
@options.everything
@_instance
@click.pass_context
def stop(context: click.Context, instance: int | None, **chosen: Any) -> None:
    """Stop programs, and wait until nothing of them is left. Temporary programs too, by their id."""
    _each(context, "stop", "stopped", {}, instance, **chosen)


@click.command()
@options.selectors
@options.everything
@_instance
@click.option(
    "--rolling", type=click.IntRange(1), metavar="N", help="Only so many instances are down at a time."
)
@_no_wait
@_timeout
@click.pass_context
def restart(
    context: click.Context,
    instance: int | None,
    rolling: int | None,
    no_wait: bool,
    timeout: int,
    **chosen: Any,
) -> None:
    """Restart programs, and wait until they run again."""
    if rolling and no_wait:
        raise click.UsageError("--rolling waits: it can't be combined with --no-wait.")
    body: dict[str, Any] = {} if no_wait else {"wait": True, "timeout": timeout}
    if rolling:
        body["rolling"] = rolling
    _each(context, "restart", "restarted", body, instance, **chosen)


@click.command()
@options.selectors
@options.everything
@_instance
@click.pass_context
def reload(context: click.Context, instance: int | None, **chosen: Any) -> None:
    """Have programs read their configuration again, as their `reload` says."""
    _each(context, "reload", "reloaded", {}, instance, **chosen)


@click.command()
@click.argument("signal", metavar="SIGNAL")
@options.selectors
@options.everything
@_instance
@click.option("--tree", is_flag=True, help="To all processes of the program's tree.")
@click.pass_context
def signal(context: click.Context, signal: str, instance: int | None, tree: bool, **chosen: Any) -> None:
    """Send programs a SIGNAL, such as HUP."""
    body = {"signal": signal.upper().removeprefix("SIG"), **({"scope": "tree"} if tree else {})}
    _each(context, "signal", "signalled", body, instance, **chosen)


@click.command()
@options.selectors
@options.everything
@click.pass_context
def enable(context: click.Context, **chosen: Any) -> None:
    """Enable programs. Those with `boot` are started."""
    _each(context, "enable", "enabled", None, None, **chosen)


@click.command()
@options.selectors
@options.everything
@click.pass_context
def disable(context: click.Context, **chosen: Any) -> None:
    """Stop programs, and let nothing start them until they are enabled."""
    _each(context, "disable", "disabled", None, None, **chosen)


@click.command()
@options.selectors
@options.everything
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
@click.pass_context
def rm(context: click.Context, selectors: tuple[str, ...], everything: bool, yes: bool) -> None:
    """Stop programs and remove them. Their logs are kept.

    In a terminal it asks first if more than one is met, or by anything else than names.
    """
    options.required(selectors, everything)
    client = options.client(context)
    met = selection.choose(client, selectors, everything=everything)
    is_plain = len(met) == 1 and all(map(selection.is_exact, selectors))
    if sys.stdin.isatty() and not yes and not is_plain:
        click.confirm(f"Remove {', '.join(program.name for program in met)}?", abort=True)
    _do(met, lambda program: client.post(f"programs/remove/{program.id}"), "removed")


def _each(
    context: click.Context,
    verb: str,
    done: str,
    body: dict[str, Any] | None,
    instance: int | None,
    *,
    selectors: tuple[str, ...],
    everything: bool,
) -> None:
    """Call a verb for each program that is chosen. Without a ``body`` it has no instances."""
    options.required(selectors, everything)
    client = options.client(context)
    met = selection.choose(client, selectors, everything=everything)
    if instance is not None and len(met) != 1:
        raise click.UsageError("--instance needs exactly one program.")
    if verb != "stop" and any(program.is_temporary for program in met):
        raise click.UsageError("Temporary programs can only be stopped.")
    _do(met, lambda program: _call(client, program, verb, body, instance), done)


def _call(
    client: Client, program: Program, verb: str, body: dict[str, Any] | None, instance: int | None
) -> None:
    which: dict[str, Any] = {}
    if body is not None and instance is not None:
        which = {program.key_name: instance}
    elif body is not None and program.has_instances:
        which = {"all": True}
    client.post(f"{program.route}/{verb}", {**(body or {}), **which})


def _do(met: list[Program], call: Callable[[Program], Any], done: str) -> None:
    """Call a function for each program, and print what became of it; the first problem sets the exit code."""

    def attempt(program: Program) -> Problem | None:
        try:
            call(program)
        except Problem as problem:
            return problem
        return None

    results = selection.side_by_side(attempt, met)
    if len(met) == 1 and results[0] is not None:
        raise results[0]
    for program, problem in zip(met, results, strict=True):
        if problem is None:
            click.echo(f"{program.name}: {output.paint(done, 'green')}")
        else:
            click.echo(f"{program.name}: {problem.message}", err=True)
    if problems := [problem for problem in results if problem is not None]:
        sys.exit(problems[0].exit_code)
