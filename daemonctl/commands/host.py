"""``host``: the hosts of a hub."""

import sys
from pathlib import Path
from typing import Any

import click

from daemonctl import options, output
from daemonctl.client import Client
from daemonctl.problems import Problem

_file = click.Path(exists=True, dir_okay=False, path_type=Path)
_FORMS = click.Choice(["table", "wide", "json", "yaml", "name"])
_STATES = click.Choice(["new", "current", "lost", "refused"])
_HEAD = ("NAME", "STATE", "AGE", "RUNNING", "VERSION", "WHY")
_HEAD_WIDE = ("URL", "LABELS")


_names = click.argument(
    "names", nargs=-1, required=True, metavar="NAME...", shell_complete=options.complete_hosts
)
_labels = click.option("--label", "labels", metavar="KEY=VALUE", multiple=True, help="A label of the host.")


@click.group()
def host() -> None:
    """Show and change the hosts of a hub: other daemons, which it shows and steers."""


@host.command()
@click.argument("name")
@click.argument("url")
@click.option("--token-file", type=_file, help="The file with an API token of the host.")
@click.option("--token-stdin", is_flag=True, help="Read the token from standard input.")
@click.option("--ca", type=_file, help="The certificates (PEM) to trust, instead of the hub's system's.")
@_labels
@click.option("--notes", default="", help="Free text.")
@click.option("--no-check", is_flag=True, help="Add it even if it doesn't answer.")
@click.pass_context
def add(
    context: click.Context,
    name: str,
    url: str,
    token_file: Path | None,
    token_stdin: bool,
    ca: Path | None,
    labels: tuple[str, ...],
    notes: str,
    no_check: bool,
) -> None:
    """Add a host by its URL, such as https://web-1.example.com:8000."""
    body = {
        "name": name,
        "url": url,
        "token": _token(token_file, token_stdin),
        "ca": _text(ca) if ca else "",
        "labels": options.pairs(labels),
        "notes": notes,
        "check": not no_check,
    }
    options.hub(context).post("hosts/add", body)
    click.echo(f"{name}: added")


@host.command()
@click.argument("name", shell_complete=options.complete_hosts)
@click.option("--url", help="Where its daemon answers from now on. It takes the token.")
@click.option("--token-file", type=_file, help="The file with another API token of the host.")
@click.option("--token-stdin", is_flag=True, help="Read that token from standard input.")
@click.option("--ca", type=_file, help="The certificates (PEM) to trust. It takes the token.")
@click.option("--no-ca", is_flag=True, help="Trust those of the hub's system. It takes the token.")
@click.option("--label", "labels", metavar="KEY=VALUE", multiple=True, help="A label to add or change.")
@click.option("--no-label", "without", metavar="KEY", multiple=True, help="A label to remove.")
@click.option("--notes", help="Free text.")
@click.option("--no-check", is_flag=True, help="Save it even if it doesn't answer.")
@click.pass_context
def edit(
    context: click.Context,
    name: str,
    url: str | None,
    token_file: Path | None,
    token_stdin: bool,
    ca: Path | None,
    no_ca: bool,
    labels: tuple[str, ...],
    without: tuple[str, ...],
    notes: str | None,
    no_check: bool,
) -> None:
    """Change what is given of a host: `daemonctl host edit web-1 --label site=fra`."""
    if ca and no_ca:
        raise click.UsageError("Give --ca or --no-ca.")
    client, segment = options.hub(context), _segment(name)
    changes: dict[str, Any] = {
        "url": url,
        "token": _token(token_file, token_stdin) if token_file or token_stdin else None,
        "ca": _text(ca) if ca else "" if no_ca else None,
        "notes": notes,
    }
    if labels or without:
        known = client.get(f"hosts/{segment}")["host"]["labels"]
        kept = {key: value for key, value in known.items() if key not in without}
        changes["labels"] = {**kept, **options.pairs(labels)}
    changes = {field: value for field, value in changes.items() if value is not None}
    if not changes:
        raise click.UsageError("Say what is to be changed.")
    client.post(f"hosts/edit/{segment}", {**changes, "check": not no_check})
    click.echo(f"{name}: edited")


@host.command("list")
@click.option("-o", "--output", "form", type=_FORMS, default="table", help="The form of the output.")
@click.option("--label", "labels", metavar="LABEL", multiple=True, help="Only hosts with this label.")
@click.option("--state", "states", type=_STATES, multiple=True, help="Only hosts in this state.")
@click.pass_context
def list_(context: click.Context, form: str, labels: tuple[str, ...], states: tuple[str, ...]) -> None:
    """List the hosts, with what was last heard of them, and how long ago that was."""
    query = {name: given for name, given in (("label", labels), ("state", states)) if given}
    hosts = options.hub(context).get("hosts", **query)["hosts"]
    if form in ("json", "yaml"):
        click.echo(output.document(hosts, form))
    elif form == "name":
        click.echo("".join(f"{each['name']}\n" for each in hosts), nl=False)
    elif not hosts:
        click.echo("No hosts.")
    else:
        more = _HEAD_WIDE if form == "wide" else ()
        click.echo(output.table((*_HEAD, *more), [_row(each, bool(more)) for each in hosts], state=1))


@host.command()
@_names
@click.pass_context
def rm(context: click.Context, names: tuple[str, ...]) -> None:
    """Remove hosts from the hub. They go on by themselves."""
    client = options.hub(context)
    for name in names:
        client.post(f"hosts/remove/{_segment(name)}")
        click.echo(f"{name}: removed")


@host.command()
@click.argument("name", required=False)
@_labels
@click.option("--ttl", type=int, default=3600, show_default=True, help="Seconds that the code is valid.")
@click.pass_context
def invite(context: click.Context, name: str | None, labels: tuple[str, ...], ttl: int) -> None:
    """Print a code with which a host adds itself, once: `hoody-daemon join_hub` there.

    With the name of a host that is there, it gets a new address and a new token.
    """
    body = {"name": name, "labels": options.pairs(labels), "ttl": ttl}
    click.echo(options.hub(context).post("hosts/invite", body)["code"])


@host.command()
@_names
@click.pass_context
def check(context: click.Context, names: tuple[str, ...]) -> None:
    """Have the hub ask hosts now. The exit code is 1 if one of them does not work."""
    client = options.hub(context)
    failed = [name for name in names if not _is_well(client, name)]
    if failed:
        sys.exit(Problem.exit_code)


def _is_well(client: Client, name: str) -> bool:
    found = client.post(f"hosts/{_segment(name)}/check")
    if found["problem"]:
        click.echo(f"{name}: {found['problem']}", err=True)
        return False
    version = f", version {found['version']}" if found["version"] else ""
    click.echo(f"{name}: answers within {found['milliseconds']} ms{version}")
    return True


def _token(file: Path | None, is_piped: bool) -> str:
    if (file is None) is not is_piped:
        raise click.UsageError("Give the token by --token-file or by --token-stdin.")
    text = _text(file) if file else sys.stdin.readline()
    return text.strip()


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, ValueError) as problem:
        raise Problem(f"{file} can't be read: {problem}") from None


def _segment(name: str) -> str:
    """Return a name for a route; one that has what a name can't have would be another route."""
    if not name.replace("-", "").replace(".", "").isalnum() or not name.isascii():
        raise click.UsageError(f"'{name}' is not the name of a host.")
    return name


def _row(host: dict[str, Any], is_wide: bool) -> tuple[str, ...]:
    programs = {} if host["age_seconds"] is None else host.get("programs", {})
    running = f"{programs.get('running', 0)} of {sum(programs.values())}" if programs else ""
    row = (
        host["name"],
        host["state"],
        _age(host["age_seconds"]),
        running,
        host["version"] or "",
        host["error"] or "",
    )
    labels = " ".join(f"{key}={value}" if value else key for key, value in host["labels"].items())
    return (*row, host["url"], labels) if is_wide else row


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "never"
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
