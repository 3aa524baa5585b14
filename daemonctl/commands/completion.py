"""``completion``: the script that has a shell complete commands and names."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion for a SHELL: `eval "$(daemonctl completion bash)"`."""
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101
    click.echo(kind(context.find_root().command, {}, "daemonctl", "_DAEMONCTL_COMPLETE").source())
