"""``rollout``: one change of many hosts, a few at a time."""

import sys
import time
from collections.abc import Callable
from typing import Any

import click

from daemonctl import options, output, plans
from daemonctl.client import Client, insist
from daemonctl.problems import Problem

_ACTIONS = ("start", "stop", "restart", "reload", "signal", "enable", "disable", "remove")
_ENDED = ("succeeded", "failed", "cancelled", "rolled_back")
_FAILED = ("failed", "cancelled")
_STOPPED = (*_ENDED, "paused")
_PAUSE_SECONDS = 1.0
_FORMS = click.Choice(["table", "json", "yaml"])

_id = click.argument("id", type=click.IntRange(1), metavar="ID")
_form = click.option("-o", "--output", "form", type=_FORMS, default="table", help="The form of the output.")
_watch = click.option(
    "-w", "--watch", is_flag=True, help="Tell what becomes of each host, until it has ended."
)


def _over_hosts(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that all roll-outs have."""
    for option in (
        _watch,
        click.option("--paused", is_flag=True, help="Begin with no host until it is resumed."),
        click.option("--skip-lost", is_flag=True, help="Skip lost hosts; they are failures otherwise."),
        click.option("--timeout", type=click.IntRange(1, 300), default=30, help="Of each host: 30 s."),
        click.option(
            "--settle", type=click.IntRange(0, 3600), default=0, metavar="SECONDS",
            help="How long the programs of a host must stay well.",
        ),
        click.option("--max-failures", type=click.IntRange(0), default=0, help="With more it stops: 0."),
        click.option("--at-once", type=click.IntRange(1, 100), default=1, help="Hosts at a time: 1."),
        click.option("--all-hosts", is_flag=True, help="All hosts."),
        click.option("--host-label", "labels", multiple=True, metavar="LABEL", help="Hosts with that label."),
        click.option("--hosts", "names", multiple=True, metavar="GLOB", help="Hosts by name; quote globs.",
                     shell_complete=options.complete_hosts),
    ):  # fmt: skip
        command = option(command)
    return command


@click.group()
def rollout() -> None:
    """Change many hosts, a few at a time."""


@rollout.command()
@click.option(
    "-f", "--file", "file", required=True, metavar="FILE", help="YAML or JSON; - is standard input."
)
@click.option("--set", "set_", metavar="NAME", help="The set, in place of that of the file.")
@click.option("--prune", is_flag=True, help="Remove what is in the set and not in the file.")
@click.option("--rollback", is_flag=True, help="A host goes back if a program does not become ready.")
@click.option("--dry-run", is_flag=True, help="Show the plan of each host, and change nothing.")
@click.option("-y", "--yes", is_flag=True, help="Don't ask before processes are ended or replaced.")
@_over_hosts
@click.pass_context
def apply(
    context: click.Context,
    file: str,
    set_: str | None,
    prune: bool,
    rollback: bool,
    dry_run: bool,
    yes: bool,
    **about: Any,
) -> None:
    """Change the programs of hosts to what a file says.

    The plan of each host is shown first. In a terminal it asks before anything is removed, stopped or
    restarted.
    """
    from daemonctl.manifest.read import read

    client = options.hub(context)
    body = {**read(file), "prune": prune, "timeout": about["timeout"], "hosts": _hosts(about)}
    if set_ is not None:
        body["set"] = set_
    hosts = client.post("fleet/apply", {**body, "dry_run": True})["hosts"]
    for host in hosts:
        click.echo(_plan_of(host))
    if dry_run:
        context.exit(int(any("error" in host for host in hosts)))
    known = [host["answer"] for host in hosts if "error" not in host]
    if any(map(plans.ends_something, known)) and not yes and sys.stdin.isatty():
        click.confirm("Apply this?", abort=True)
    _begin(client, "fleet/apply", {**body, "rollback": rollback}, about)


@rollout.command()
@click.argument("action", type=click.Choice(_ACTIONS))
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...")
@options.everything
@click.option("--signal", metavar="NAME", help="Of `signal`: its name.")
@click.option("--dry-run", is_flag=True, help="Show what each host would do, and change nothing.")
@_over_hosts
@click.pass_context
def batch(
    context: click.Context,
    action: str,
    selectors: tuple[str, ...],
    everything: bool,
    signal: str | None,
    dry_run: bool,
    **about: Any,
) -> None:
    """Do something with programs of hosts: names, globs, labels (team=web) or states (@fatal)."""
    options.required(selectors, everything)
    client = options.hub(context)
    body: dict[str, Any] = {"action": action, "select": _select(selectors), "hosts": _hosts(about)}
    if action in ("start", "restart"):
        body["timeout"] = about["timeout"]
    if signal is not None:
        body["signal"] = signal.upper().removeprefix("SIG")
    if not dry_run:
        _begin(client, "fleet/batch", body, about)
        return
    hosts = client.post("fleet/batch", {**body, "dry_run": True})["hosts"]
    for host in hosts:
        click.echo(f"{host['host']}: {_counts_of(host)}")
    context.exit(int(any("error" in host for host in hosts)))


@rollout.command()
@click.argument("id", type=click.IntRange(1), metavar="[ID]", required=False)
@_watch
@_form
@click.pass_context
def status(context: click.Context, id: int | None, watch: bool, form: str) -> None:
    """Show what has become of each host; without an ID the latest roll-outs.

    With --watch it returns once it has ended or is paused. The exit code is 1 if it has failed or was
    cancelled.
    """
    client = options.hub(context)
    if id is None:
        if watch:
            raise click.UsageError("--watch needs an ID.")
        listed = client.get("fleet/rollouts", limit=20)["rollouts"]
        click.echo(_list(listed) if form == "table" else output.document(listed, form))
        return
    if watch:
        _follow(client, id)
        return
    document = client.get(f"fleet/rollouts/{id}")["rollout"]
    click.echo(_table(document) if form == "table" else output.document(document, form))
    _exit(document)


def _steering(name: str, help: str) -> click.Command:
    @rollout.command(name, help=help)
    @_id
    @_watch
    @click.pass_context
    def command(context: click.Context, id: int, watch: bool) -> None:
        client = options.hub(context)
        document = client.post(f"fleet/rollouts/{id}/{name}")["rollout"]
        click.echo(_title(document))
        if watch:
            _follow(client, id)

    return command


_steering("pause", "Begin with no further host.")
_steering("resume", "Go on with a roll-out that was paused.")
_steering("cancel", "Skip the hosts that are still pending.")
_steering("rollback", "Take an apply back on each host that it has changed.")


def _hosts(about: dict[str, Any]) -> dict[str, Any]:
    """Return the hosts that the options choose."""
    chosen: dict[str, Any] = {name: list(about[name]) for name in ("names", "labels") if about[name]}
    if bool(chosen) == about["all_hosts"]:
        raise click.UsageError("Name hosts with --hosts or --host-label, or give --all-hosts.")
    return chosen or {"all": True}


def _select(selectors: tuple[str, ...]) -> dict[str, Any]:
    """Return the programs that selectors choose; each host says which of its programs that are."""
    if not selectors:
        return {"all": True}
    by_kind: dict[str, list[str]] = {}
    for text in selectors:
        kind = "states" if text.startswith("@") else "labels" if "=" in text else "names"
        by_kind.setdefault(kind, []).append(text.removeprefix("@") if kind == "states" else text)
    if len(by_kind) > 1:
        raise click.UsageError("Choose programs by names, by labels or by states.")
    return dict(by_kind)


def _begin(client: Client, route: str, body: dict[str, Any], about: dict[str, Any]) -> None:
    how = {
        "at_once": about["at_once"],
        "max_failures": about["max_failures"],
        "settle_seconds": about["settle"],
        "skip_lost": about["skip_lost"],
        "paused": about["paused"],
    }
    document = client.post(route, {**body, **how})["rollout"]
    click.echo(_title(document))
    if about["watch"]:
        _follow(client, document["id"])


def _follow(client: Client, id: int) -> None:
    """Print a line for each change of a host until the roll-out has ended or is paused."""
    seen: dict[str, tuple[str, str]] = {}
    while True:
        document = insist(lambda: client.get(f"fleet/rollouts/{id}")["rollout"])
        for part in document["parts"]:
            now = (part["state"], part.get("error", ""))
            if now != seen.get(part["host"], ("pending", "")):
                click.echo(f"{part['host']}: {_state_of(part)}")
            seen[part["host"]] = now
        is_settled = not any(part["state"] == "running" for part in document["parts"])
        if document["state"] in _STOPPED and is_settled:
            click.echo(_title(document))
            _exit(document)
            return
        time.sleep(_PAUSE_SECONDS)


def _exit(document: dict[str, Any]) -> None:
    if document["state"] in _FAILED:
        sys.exit(Problem.exit_code)


def _title(document: dict[str, Any]) -> str:
    counts = ", ".join(f"{number} {state}" for state, number in document["counts"].items() if number)
    return f"Roll-out {document['id']} ({document['kind']}): {document['state']}" + (
        f", {counts}" if counts else ""
    )


def _table(document: dict[str, Any]) -> str:
    rows = [[part["host"], part["state"], part.get("error", "")] for part in document["parts"]]
    return "\n".join([_title(document), output.table(["HOST", "STATE", "WHAT"], rows, state=1)])


def _list(rollouts: list[dict[str, Any]]) -> str:
    rows = [
        [str(each["id"]), each["kind"], each["state"], each["user"], each["began_at"]] for each in rollouts
    ]
    return output.table(["ID", "KIND", "STATE", "USER", "BEGAN"], rows, state=2)


def _state_of(part: dict[str, Any]) -> str:
    return f"{part['state']}: {part['error']}" if "error" in part else str(part["state"])


def _plan_of(host: dict[str, Any]) -> str:
    if "error" in host:
        return f"{host['host']}: {host['error']}"
    lines = plans.text_of(host["answer"]).splitlines()
    return "\n".join([f"{host['host']}:", *(f"  {line}" for line in lines)])


def _counts_of(host: dict[str, Any]) -> str:
    """Return what a host would do with how many programs, or why it can't be known."""
    if "error" in host:
        return str(host["error"])
    counts = [f"{number} {result}" for result, number in host["answer"]["counts"].items() if number]
    return ", ".join(counts) or "nothing to do"
