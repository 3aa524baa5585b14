"""``import``: a file of another tool as one that ``apply`` reads."""

from pathlib import Path

import click

from daemonctl.importing import formats, writer
from daemonctl.importing.program import Wishes


@click.command("import")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--from", "form", type=click.Choice(formats.FORMATS), help="The format, instead of a guess.")
@click.option(
    "--user", help="The user of programs for which the file names none; by default the one who calls."
)
@click.option("--env", "environment", metavar="NAME", help="The environment in a file of pm2: env_NAME.")
@click.option("--set", "set_name", metavar="NAME", help="The set that the programs are to belong to.")
def import_(
    files: tuple[Path, ...], form: str | None, user: str | None, environment: str | None, set_name: str | None
) -> None:
    """Print the programs of another tool's FILE as YAML for `daemonctl apply`.

    It reads supervisord.conf, a Procfile, pm2's ecosystem.config.js, process-compose.yaml, and systemd's
    services, of which it takes several. Comments say what has no counterpart, or means something else.

    No daemon is contacted, and nothing is run but a .js file, which node evaluates.
    """
    imported = formats.read(files, form, Wishes(user, environment))
    click.echo(writer.to_yaml(imported, set_name), nl=False)
