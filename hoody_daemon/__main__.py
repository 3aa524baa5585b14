"""The command line of the daemon: ``hoody-daemon``, ``python -m hoody_daemon`` and ``manage.py``."""

import gc
import os
import sys
from pathlib import Path

from hoody_daemon import __version__

NAME = "hoody-daemon"
_HELP = """\
Usage: {name} COMMAND [OPTIONS]

Run the programs of this host, and serve the API and the console through which they are managed.

  run                           Set up what is missing, then run everything in the foreground
  check                         Say what is wrong with the settings
  backup FILE                   Save the database and what belongs to it
  restore FILE                  Go back to a backup
  move_database --to ENGINE     Carry everything over to PostgreSQL, or back
  export_programs [FILE]        Write all programs as JSON
  import_programs FILE          Replace the programs by those of a file
  reset_programs                Go back to the default programs
  reconcile                     Find and repair differences to what is configured
  create_token USER NAME        Create an API token
  rotate_token [USER NAME]      Replace an API token
  join_hub --hub URL            Add this host to a hub, with a one-time code
  follow_hosts                  Follow the hosts; supervisord runs this on a stack that has some
  createsuperuser               Create an administrator
  changepassword [USER]         Change a password

`{name} COMMAND --help` shows the options of a command, `{name} help --commands` the other commands.
Settings are DAEMON_... variables, such as DAEMON_STATE_DIR and DAEMON_BIND.
`daemonctl` manages the programs of a daemon that runs.
"""


def main() -> None:
    """Print help or the version, or run a management command."""
    name = Path(sys.argv[0]).name
    if name == "__main__.py":
        name = NAME
    match sys.argv[1:]:
        case [] | ["-h" | "--help" | "help"]:
            print(_HELP.format(name=name), end="")
        case ["--version"]:
            print(NAME, __version__)
        case arguments:
            _manage(name, *arguments)


def _manage(name: str, command: str, *options: str) -> None:
    """Run a management command; ``run`` is ``run_stack``."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hoody_site.settings")
    # What is imported stays, so looking for garbage meanwhile is in vain: hoody_site/apps.py begins with it.
    gc.disable()
    from django.core import management

    if command != "run":
        management.execute_from_command_line([name, command, *options])
        return
    import django

    django.setup()
    management.load_command_class("hoody_site", "run_stack").run_from_argv([name, command, *options])


if __name__ == "__main__":
    main()
