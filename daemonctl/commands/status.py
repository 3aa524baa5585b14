"""``status`` and ``top``: what runs, and what became of the rest."""

import sys
import time
from typing import Any

import click

from daemonctl import options, output, selection
from daemonctl.client import Client
from daemonctl.problems import Absent, Unreachable
from daemonctl.selection import Program

_FORMS = click.Choice(["table", "wide", "json", "yaml", "name"])
_HEAD = ("NAME", "STATE", "PID", "UPTIME", "CPU", "MEMORY", "RESTARTS", "WHY")
# The list does not tell about restarts. Up to so many programs are asked one by one; of more, those that
# don't run.
_MOST_ASKED = 40


@click.command()
@options.selectors
@options.everything
@click.option("-o", "--output", "form", type=_FORMS, default="table", help="The form of the output.")
@click.option("-w", "--watch", is_flag=True, help="Show it again each second, until Ctrl-C.")
@click.pass_context
def status(
    context: click.Context, selectors: tuple[str, ...], everything: bool, form: str, watch: bool
) -> None:
    """Show what runs, and why the rest doesn't.

    Without selectors it shows all programs. The exit code is 3 if a program that is given by its name or id
    does not run. RESTARTS are those that were not requested; of more than 40 programs only `-o wide`, `json`
    and `yaml` show them for those that run.
    """
    client = options.client(context)
    selectors = options.or_all(selectors, everything)
    if watch:
        _watch(lambda: table(_rows(client, selectors, form), wide=form == "wide"), form)
        return
    rows = _rows(client, selectors, form)
    if form == "name":
        click.echo("\n".join(row["name"] for row in rows))
    elif form in ("json", "yaml"):
        click.echo(output.document(rows, form))
    else:
        click.echo(table(rows, wide=form == "wide"))
    if any(_is_named(row, selectors) and row["state"] != "running" for row in rows):
        sys.exit(Absent.exit_code)


@click.command()
@options.selectors
@options.everything
@click.pass_context
def top(context: click.Context, selectors: tuple[str, ...], everything: bool) -> None:
    """Show the programs that use most of the CPU, again each second, until Ctrl-C."""
    client = options.client(context)
    selectors = options.or_all(selectors, everything)

    def busiest() -> str:
        rows = _rows(client, selectors, "table")
        return table(sorted(rows, key=lambda row: row.get("cpu_percent", -1), reverse=True))

    _watch(busiest, "table")


def _is_named(row: dict[str, Any], selectors: tuple[str, ...]) -> bool:
    return row["name"] in selectors or str(row["id"]) in selectors


def _rows(client: Client, selectors: tuple[str, ...], form: str) -> list[dict[str, Any]]:
    chosen = selection.choose(client, selectors, everything=not selectors, stats=form != "name")
    if form == "name":
        return [_row(program, {}) for program in chosen]
    is_whole = form != "table" or len(chosen) <= _MOST_ASKED
    asked = [program for program in chosen if is_whole or program.state in ("backoff", "exited", "fatal")]
    details = selection.side_by_side(lambda program: client.get(status_route(program)), asked)
    by_id = {program.id: detail for program, detail in zip(asked, details, strict=True)}
    return [_row(program, by_id.get(program.id, {})) for program in chosen]


def status_route(program: Program) -> str:
    """Return the route of a program's state."""
    return f"{program.route}/status" if program.is_temporary else f"status/{program.id}"


def _row(program: Program, detail: dict[str, Any]) -> dict[str, Any]:
    """Return what is shown of a program. What is not known is left out."""
    live = detail if program.is_temporary else program.document.get("status", {})
    stats = [program.document.get("stats"), *(each.get("stats") for each in program.instances)]
    used = [each for each in stats if each]
    row: dict[str, Any] = {
        "id": program.id,
        "name": detail.get("name", program.name),
        "state": detail["status"] if program.is_temporary else program.state,
    }
    row |= {key: live[key] for key in ("pid", "uptime") if key in live}
    if used:
        row["cpu_percent"] = round(sum(each["cpu_percent"] for each in used), 1)
        row["memory_rss_bytes"] = sum(each["memory_rss_bytes"] for each in used)
    if detail and not program.has_instances:
        row["restarts"] = detail.get("restarts", 0)
    row |= {key: detail[key] for key in ("last_run", "next_start_at", "problem") if key in detail}
    if why := why_not(program, detail):
        row["why"] = why
    if program.has_instances:
        row["running_instances"] = live.get("running_instances", 0)
        row["total_instances"] = live.get("total_instances", 0)
        row["instances"] = program.instances
    return row


def why_not(program: Program, detail: dict[str, Any]) -> str:
    """Return why a program does not run, or is not ready or healthy; an empty text if nothing is known."""
    status = detail.get("status", {})
    if isinstance(status, dict):
        if waits := status.get("waiting_for"):
            return f"waits for {', '.join(str(each['program']) for each in waits)}"
        for key in ("unhealthy_because", "not_ready_because"):
            if key in status and program.state in ("running", "starting"):
                return str(status[key])
    if program.state in ("running", "starting", "disabled"):
        return ""
    return detail.get("problem") or ended(detail.get("last_run") or {})


def ended(run: dict[str, Any]) -> str:
    """Return how a run ended."""
    if run.get("reason"):
        return str(run["reason"])
    if run.get("error"):
        return str(run["error"])
    if run.get("signal"):
        return f"killed by {run['signal']}"
    return f"exit code {run['exit_code']}" if run.get("exit_code") is not None else ""


def table(rows: list[dict[str, Any]], *, wide: bool = False) -> str:
    """Return rows as a table; those of several hosts have a column for it."""
    if not rows:
        return "No programs."
    cells = []
    for row in rows:
        cells.append(_cells(row, row["name"]))
        if wide:
            cells += [
                _cells({**_instance(each), "host": row.get("host")}, f"  {each['instance_name']}")
                for each in row.get("instances", ())
            ]
    if any("host" in row for row in rows):
        return output.table(("HOST", *_HEAD), cells, state=2)
    return output.table(_HEAD, [own for _, *own in cells], state=1)


def _instance(each: dict[str, Any]) -> dict[str, Any]:
    return {**each, "state": each["status"], **each.get("stats", {}), "pid": each.get("pid")}


def _cells(row: dict[str, Any], name: str) -> tuple[str, ...]:
    state = row["state"]
    if "total_instances" in row:
        state += f" {row['running_instances']}/{row['total_instances']}"
    cpu, memory = row.get("cpu_percent"), row.get("memory_rss_bytes")
    return (
        row.get("host") or "",
        name,
        state,
        str(row.get("pid") or ""),
        row.get("uptime", ""),
        "" if cpu is None else f"{cpu:.1f} %",
        "" if memory is None else output.size(memory),
        str(row.get("restarts", "")),
        row.get("why", ""),
    )


def _watch(make: Any, form: str) -> None:
    """Show a table again each second. A lost connection is told of, and does not end it."""
    if form not in ("table", "wide") or not sys.stdout.isatty():
        raise click.UsageError("This needs a terminal, and shows a table.")
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    shown = make()  # errors of the first look end the command
    with Live(Text.from_ansi(shown), console=Console(), screen=True, auto_refresh=False) as live:
        while True:
            live.update(Text.from_ansi(shown, no_wrap=True), refresh=True)
            time.sleep(1)
            try:
                shown = make()
            except Unreachable as problem:
                shown = f"{problem.message}; trying again..."
