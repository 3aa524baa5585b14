"""``apply``, ``diff``, ``export``: programs as a file says."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from daemonctl import options, output, plans, selection
from daemonctl.client import Client
from daemonctl.exporting import formats as exporting
from daemonctl.problems import Problem, Refused

_READ_ONLY = ("id", "hoody_kit", "status", "stats")
# Fields that documents have even with their default, and that files need not have then.
_SHOWN_ALWAYS = (
    "description",
    "enabled",
    "boot",
    "delay_seconds",
    "autorestart",
    "environment",
    "priority",
    "stdout_logfile",
    "stderr_logfile",
    "logs_enabled",
    "log_max_bytes",
    "log_backups",
    "lazy_load",
)


class _Failed(Problem):
    """An error of `diff`, for which 1 says that there are differences."""

    exit_code = 2


def _about_a_file(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--prune", is_flag=True, help="Remove what is in the set and not in the file."),
        click.option("--set", "set_", metavar="NAME", help="The set, in place of that of the file."),
        click.option(
            "-f", "--file", "file", required=True, metavar="FILE", help="YAML or JSON; - is standard input."
        ),
    ):
        command = option(command)
    return command


@click.command()
@_about_a_file
@click.option("--dry-run", is_flag=True, help="Show the plan, and change nothing.")
@click.option("--wait", is_flag=True, help="Wait until all programs that run are ready.")
@click.option("--timeout", type=click.IntRange(1, 300), default=30, help="Seconds to wait at most: 30.")
@click.option("--rollback", is_flag=True, help="Wait, and go back if a program does not become ready.")
@click.option("-y", "--yes", is_flag=True, help="Don't ask before processes are ended or replaced.")
@click.pass_context
def apply(
    context: click.Context,
    file: str,
    set_: str | None,
    prune: bool,
    dry_run: bool,
    wait: bool,
    timeout: int,
    rollback: bool,
    yes: bool,
) -> None:
    """Change programs to what a file says, as a whole or not at all.

    The plan is shown first. In a terminal it asks before anything is removed, stopped or restarted. If
    the programs are changed meanwhile, nothing is done.
    """
    client = options.client(context)
    body = _body(file, set_, prune)
    plan = _posted(client, {**body, "dry_run": True})
    click.echo(plans.text_of(plan))
    waits = {"wait": True, "timeout": timeout, "rollback": rollback} if wait or rollback else {}
    if dry_run or not (plans.changes_anything(plan) or waits):
        return
    if plans.ends_something(plan) and not yes and sys.stdin.isatty():
        click.confirm("Apply this?", abort=True)
    _posted(client, {**body, "revision": plan["revision"], **waits})
    click.echo("Applied." if plans.changes_anything(plan) else "All programs that run are ready.")


@click.command()
@_about_a_file
@click.pass_context
def diff(context: click.Context, file: str, set_: str | None, prune: bool) -> None:
    """Show what `apply` would change.

    The exit code is 0 if that is nothing, 1 if there are differences, and higher after an error.
    """
    try:
        plan = _posted(options.client(context), {**_body(file, set_, prune), "dry_run": True})
    except Problem as problem:
        if problem.exit_code == 1:
            raise _Failed(problem.message) from None
        raise
    click.echo(plans.text_of(plan))
    if plans.changes_anything(plan):
        context.exit(1)


@click.command()
@options.selectors
@click.option("--set", "set_", metavar="NAME", help="Only programs of this set.")
@click.option("-o", "--output", "form", type=click.Choice(["yaml", "json"]), default="yaml", help="The form.")
@click.option(
    "--format", "other", type=click.Choice(exporting.FORMATS), help="Files of another tool instead."
)
@click.option(
    "--into",
    "folder",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Where the files of --format are made. None may be there.",
)
@click.pass_context
def export(
    context: click.Context,
    selectors: tuple[str, ...],
    set_: str | None,
    form: str,
    other: str | None,
    folder: Path | None,
) -> None:
    """Print programs as a file for `apply`: those that are chosen, or all.

    Fields that have their default are left out. With --format the files of another tool are made in a folder,
    and what has no counterpart there is said in comments and on standard error.
    """
    from daemonctl.manifest import write

    if (other is None) != (folder is None):
        raise click.UsageError("--format and --into go together.")

    client = options.client(context)
    chosen = selection.choose(client, selectors, everything=not selectors)
    documents = [program.document for program in chosen if set_ in (None, program.document.get("set"))]
    content = _without_defaults(client, [_writable(document) for document in documents])
    if other is not None and folder is not None:
        exported = exporting.write(content["programs"], other, folder)
        for note in exported.notes:
            click.echo(note, err=True)
        for file in exported.files:
            click.echo(folder / file.name)
        return
    if form == "json":
        click.echo(output.document(write.escaped(content), form))
        return
    click.echo(write.schema_comment(client.url) + write.to_yaml(content), nl=False)


def _body(file: str, set_: str | None, prune: bool) -> dict[str, Any]:
    from daemonctl.manifest.read import read

    body = read(file)
    if set_ is not None:
        body["set"] = set_
    return {**body, "prune": prune}


def _posted(client: Client, body: dict[str, Any]) -> dict[str, Any]:
    """Return the plan; if the API refuses it, raise all that it says."""
    try:
        return client.post("programs/apply", body)
    except Refused as problem:
        sentences = [each for messages in problem.details.get("errors", {}).values() for each in messages]
        others = [f"{each['name']} {each['reason']}" for each in problem.details.get("not_ready", [])[1:]]
        raise Refused("\n".join([*dict.fromkeys([problem.message, *sentences]), *others])) from None


def _writable(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in _READ_ONLY}


def _without_defaults(client: Client, programs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the content of a file: the API says which fields would differ if they were left out."""
    short = [
        {name: value for name, value in program.items() if name not in _SHOWN_ALWAYS} for program in programs
    ]
    try:
        steps = client.post("programs/apply", {"programs": short, "dry_run": True})["plan"]
    except Refused:  # a program that could not be added as it is, since what it needs was removed
        return _in_one_set(programs)
    needed = [{change["field"] for change in step["changes"]} for step in steps]
    return _in_one_set(
        [
            {name: value for name, value in program.items() if name not in _SHOWN_ALWAYS or name in fields}
            for program, fields in zip(programs, needed, strict=True)
        ]
    )


def _in_one_set(programs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the content of a file, with the set at its beginning if all programs are of one."""
    sets = {program.get("set") for program in programs}
    if len(sets) != 1 or None in sets:
        return {"programs": programs}
    without = [{name: value for name, value in each.items() if name != "set"} for each in programs]
    return {"set": sets.pop(), "programs": without}
