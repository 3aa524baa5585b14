"""The command line: its options, and the commands, whose modules are imported when they are called."""

import sys
from importlib import import_module
from keyword import iskeyword
from typing import Any

import click

from hoody_daemon import __version__

_COMMANDS = {
    "status": "status",
    "start": "verbs",
    "stop": "verbs",
    "restart": "verbs",
    "reload": "verbs",
    "signal": "verbs",
    "enable": "verbs",
    "disable": "verbs",
    "rm": "verbs",
    "describe": "programs",
    "logs": "logs",
    "events": "events",
    "run": "run",
    "wait": "wait",
    "add": "programs",
    "edit": "programs",
    "apply": "apply",
    "diff": "apply",
    "export": "apply",
    "rollout": "rollout",
    "attach": "programs",
    "import": "importing",
    "top": "status",
    "host": "host",
    "context": "context",
    "completion": "completion",
}
# These speak to no daemon.
_LOCAL = ("import", "context", "completion")
# What people type who know other supervisors, and what it is called here.
_ELSEWHERE = {
    "help": "--help",
    "version": "--version",
    "tail": "logs -f",
    "log": "logs",
    "fg": "logs -f, or attach",
    "pid": "status",
    "ps": "status",
    "list": "status",
    "ls": "status",
    "jlist": "status -o json",
    "show": "describe",
    "info": "describe",
    "kill": "signal KILL, or stop",
    "remove": "rm",
    "delete": "rm",
    "exec": "run",
    "monit": "top",
    "reread": "apply, add or edit, which take effect at once",
    "update": "apply, add or edit, which take effect at once",
    "up": "apply",
    "down": "stop --all",
    "shutdown": "stop --all, which leaves the daemon itself running",
    "save": "export",
}


class _Commands(click.Group):
    """Import a command when it is needed, so that `status` does not pay for the others."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        module = import_module(f"daemonctl.commands.{_COMMANDS[name]}")
        command: click.Command = getattr(module, f"{name}_" if iskeyword(name) else name)
        return command

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = arguments[0]
        if name in _ELSEWHERE and self.get_command(context, name) is None:
            context.fail(f"No such command '{name}'. Here it is: {_ELSEWHERE[name]}.")
        _, command, rest = super().resolve_command(context, arguments)
        if name in _LOCAL or {"-h", "--help"} & set(rest):
            return name, command, rest
        host = _host(context.params)
        if any(sign in host for sign in "*?["):
            from daemonctl.commands.side_by_side import command_for

            command = command_for(name, host)
        return name, command, rest

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the first sentence of each command as a whole: click would cut it to one line."""
        commands = [(name, self.get_command(context, name)) for name in self.list_commands(context)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.get_short_help_str(200)) for name, each in commands if each])

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except KeyboardInterrupt:  # of what follows until then
            sys.exit(130)


def _host(given: dict[str, Any]) -> str:
    """Return the host that is meant, or a glob of hosts; an empty text for the daemon itself."""
    if given.get("host") is not None:
        return str(given["host"])
    from daemonctl import contexts

    return contexts.host_of(given.get("context"))


def _complete_hosts(context: click.Context, parameter: click.Parameter, typed: str) -> list[Any]:
    """Return the names of a hub's hosts, with what only a prompt needs."""
    from daemonctl import options

    return options.complete_hosts(context, parameter, typed)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="daemonctl %(version)s")
@click.option("--context", metavar="NAME", help="The daemon to speak to, instead of the one in use.")
@click.option(
    "--host",
    metavar="NAME",
    help="A host of that hub; a glob ('web-*') for several.",
    shell_complete=_complete_hosts,
)
def main(context: str | None, host: str | None) -> None:
    """Run and watch the programs of a daemon.

    A SELECTOR is a name, a glob ('web*'), an id, a label (team=web) or a state (@fatal). Quote globs.

    Without a context it is the stack of this host (DAEMON_STATE_DIR, DAEMON_BIND), or the daemon that
    DAEMONCTL_URL names, with DAEMONCTL_TOKEN or DAEMONCTL_TOKEN_FILE. DAEMONCTL_HOST is a host of it.

    \b
    Exit codes:
      0  all done
      1  refused by the API, failed, or not in time
      2  the command line is wrong
      3  a program that was named does not exist, or does not run
      4  the daemon can't be reached
    `run` has the exit code of its command.
    """
