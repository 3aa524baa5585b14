"""What is done with programs: start, stop, restart, reload, signal, enable, disable, rm."""

import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import click

from daemonctl import options, output, selection
from daemonctl.client import Client
from daemonctl.problems import Absent, Problem, Refused
from daemonctl.selection import Program

_METHOD_NOT_ALLOWED = 405
# Why a batch may skip a program that is as it should be.
_AS_WANTED = {
    "start": {"ran_already"},
    "stop": {"not_running"},
    "restart": {"not_running"},
    "enable": {"enabled_already"},
    "disable": {"disabled_already"},
}


class Verb(NamedTuple):
    """What is done with programs, and the fields that it takes beside the programs."""

    name: str
    done: str  # its past participle
    body: dict[str, Any]


class Outcome(NamedTuple):
    """What has become of a program: a problem, or words about its success."""

    problem: Problem | None
    words: str = ""


_instance = click.option(
    "-i", "--instance", type=int, metavar="KEY", help="Only this instance: its port or number."
)
_no_wait = click.option("--no-wait", is_flag=True, help="Return before the programs run.")
_timeout = click.option("--timeout", type=click.IntRange(1, 300), default=30, help="Seconds to wait at most.")
_dry_run = click.option("--dry-run", is_flag=True, help="Only show what would be done.")


@click.command()
@options.selectors
@options.everything
@_instance
@_no_wait
@_timeout
@_dry_run
@click.pass_context
def start(context: click.Context, instance: int | None, no_wait: bool, timeout: int, **chosen: Any) -> None:
    """Start programs, and wait until they run (with a probe: until they are ready)."""
    body = {} if no_wait else {"wait": True, "timeout": timeout}
    _each(context, "start", "started", body, instance, **chosen)


@click.command()
@options.selectors
@options.everything
@_instance
@_dry_run
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
@_dry_run
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
@_dry_run
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
@_dry_run
@click.pass_context
def signal(context: click.Context, signal: str, instance: int | None, tree: bool, **chosen: Any) -> None:
    """Send programs a SIGNAL, such as HUP."""
    body = {"signal": signal.upper().removeprefix("SIG"), **({"scope": "tree"} if tree else {})}
    _each(context, "signal", "signalled", body, instance, **chosen)


@click.command()
@options.selectors
@options.everything
@_dry_run
@click.pass_context
def enable(context: click.Context, **chosen: Any) -> None:
    """Enable programs. Those with `boot` are started."""
    _each(context, "enable", "enabled", None, None, **chosen)


@click.command()
@options.selectors
@options.everything
@_dry_run
@click.pass_context
def disable(context: click.Context, **chosen: Any) -> None:
    """Stop programs, and let nothing start them until they are enabled."""
    _each(context, "disable", "disabled", None, None, **chosen)


@click.command()
@options.selectors
@options.everything
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
@_dry_run
@click.pass_context
def rm(
    context: click.Context, selectors: tuple[str, ...], everything: bool, yes: bool, dry_run: bool
) -> None:
    """Stop programs and remove them. Their logs are kept.

    In a terminal it asks first if more than one is met, or by anything else than names.
    """
    options.required(selectors, everything)
    client = options.client(context)
    met = _permanent(selection.choose(client, selectors, everything=everything))
    is_plain = len(met) == 1 and all(map(selection.is_exact, selectors))
    if sys.stdin.isatty() and not (yes or dry_run or is_plain):
        click.confirm(f"Remove {', '.join(program.name for program in met)}?", abort=True)

    def remove(program: Program) -> None:
        client.post(f"programs/remove/{program.id}")

    _show(met, _outcomes(client, met, Verb("remove", "removed", {}), remove, dry_run=dry_run))


def _each(
    context: click.Context,
    verb: str,
    done: str,
    body: dict[str, Any] | None,
    instance: int | None,
    *,
    selectors: tuple[str, ...],
    everything: bool,
    dry_run: bool,
) -> None:
    """Call a verb for each program that is chosen. Without a ``body`` it has no instances."""
    options.required(selectors, everything)
    client = options.client(context)
    met = selection.choose(client, selectors, everything=everything)
    if instance is not None and (len(met) != 1 or dry_run):
        raise click.UsageError("--instance needs exactly one program, and no --dry-run.")
    if verb != "stop":
        _permanent(met)

    def call(program: Program) -> None:
        _call(client, program, verb, body, instance)

    _show(met, _outcomes(client, met, Verb(verb, done, body or {}), call, dry_run=dry_run))


def _permanent(met: list[Program]) -> list[Program]:
    """Return the programs; refuse temporary ones."""
    if any(program.is_temporary for program in met):
        raise click.UsageError("Temporary programs can only be stopped.")
    return met


def _call(
    client: Client, program: Program, verb: str, body: dict[str, Any] | None, instance: int | None
) -> None:
    which: dict[str, Any] = {}
    if body is not None and instance is not None:
        which = {program.key_name: instance}
    elif body is not None and program.has_instances:
        which = {"all": True}
    client.post(f"{program.route}/{verb}", {**(body or {}), **which})


def _outcomes(
    client: Client, met: list[Program], verb: Verb, call: Callable[[Program], None], *, dry_run: bool
) -> list[Outcome]:
    """Do something with programs, and return what has become of each, in their order.

    Several are one request, if the daemon has batches; ``call`` does it with one program.
    """
    together = [program for program in met if not program.is_temporary]
    found: dict[int | str, Outcome] = {}
    # A roll-out is led by the request of its program.
    if dry_run or (len(together) > 1 and "rolling" not in verb.body):
        found = _batch(client, together, verb, dry_run=dry_run)
    if dry_run:
        return [found.get(program.id, _planned(verb)) for program in met]

    def attempt(program: Program) -> Outcome:
        try:
            call(program)
        except Problem as problem:
            return Outcome(problem)
        return _done(verb)

    alone = [program for program in met if program.id not in found]
    found |= zip([each.id for each in alone], selection.side_by_side(attempt, alone), strict=True)
    return [found[program.id] for program in met]


def _batch(client: Client, met: Sequence[Program], verb: Verb, *, dry_run: bool) -> dict[int | str, Outcome]:
    """Do something with programs in one request; return what has become of each, nothing if it can't be."""
    if not met:
        return {}
    options = {name: value for name, value in verb.body.items() if name != "rolling"}
    select = {"ids": [program.id for program in met]}
    body = {"action": verb.name, "select": select, "dry_run": dry_run, **options}
    try:
        answer = client.post("programs/batch", body)
    except Refused as problem:
        if problem.status != _METHOD_NOT_ALLOWED:
            raise
        if dry_run:
            raise Problem("This daemon is too old for --dry-run") from None
        return {}
    return {result["id"]: _outcome(verb, result, dry_run=dry_run) for result in answer["results"]}


def _outcome(verb: Verb, result: dict[str, Any], *, dry_run: bool) -> Outcome:
    """Return the outcome of a program from a result of a batch."""
    if result["result"] == "failed":
        kind = Absent if result["code"] == "not_found" else Refused
        return Outcome(kind(result["error"]))
    if result["result"] == "planned":
        return _planned(verb)
    if result["result"] == "skipped" and result["code"] not in _AS_WANTED.get(verb.name, ()):
        return Outcome(Refused(result["reason"]))
    if result["result"] == "skipped" and dry_run:
        return Outcome(None, result["reason"])
    return _done(verb)


def _done(verb: Verb) -> Outcome:
    return Outcome(None, output.paint(verb.done, "green"))


def _planned(verb: Verb) -> Outcome:
    return Outcome(None, f"would be {verb.done}")


def _show(met: list[Program], outcomes: list[Outcome]) -> None:
    """Print what has become of programs. The first problem sets the exit code."""
    if len(met) == 1 and outcomes[0].problem is not None:
        raise outcomes[0].problem
    for program, (problem, words) in zip(met, outcomes, strict=True):
        if problem is None:
            click.echo(f"{program.name}: {words}")
        else:
            click.echo(f"{program.name}: {problem.message}", err=True)
    if problems := [outcome.problem for outcome in outcomes if outcome.problem is not None]:
        sys.exit(problems[0].exit_code)
