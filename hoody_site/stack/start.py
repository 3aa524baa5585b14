"""The start of the stack: everything that comes before supervisord, in its order."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings

from daemon_programs.maintenance.reconcile import Difference
from hoody_site.stack import address, configuration, database, first_start, folder, reconciliation, survivors

# The threads of a killed process may hold its sockets for a moment after it has left the process table.
_PATIENCE_SECONDS = 5


@dataclass(frozen=True)
class Start:
    """What a start has found and made."""

    lock: int  # the descriptor that holds the state folder's lock
    recovered: list[Difference]
    secrets: first_start.Secrets | None  # on the first start


def prepare(say: Callable[[str], object]) -> Start:
    """Bring the state folder in order; raise StackProblem, DatabaseUnusable, OSError or DatabaseError."""
    folder.make_state_folder()
    lock = folder.lock_state_folder()
    folder.make_secret_key()
    if ended := survivors.end_survivors():
        say(f"Ended {ended} processes that a killed stack had left behind.")
    address.check_address(patience_seconds=_PATIENCE_SECONDS if ended else 0)
    database.prepare()
    first_start.load_programs()
    recovered = reconciliation.recover()
    configuration.write_supervisord_configuration()
    secrets = first_start.make_first_administrator()  # last: they are shown only once
    return Start(lock, recovered, secrets)


def become_supervisord(lock: int) -> None:
    """Replace this process with supervisord, so that signals reach supervisord itself."""
    os.chdir(settings.BASE_DIR)
    environment = {**os.environ, "PYTHONUTF8": "1", "DJANGO_SETTINGS_MODULE": "hoody_site.settings"}
    del environment["TZ"]
    if settings.HOST_TIME_ZONE is not None:
        environment["TZ"] = settings.HOST_TIME_ZONE
    os.set_inheritable(lock, True)
    os.execve(
        sys.executable,
        [sys.executable, "-m", "supervisor.supervisord", "-c", str(settings.SUPERVISORD_CONF)],
        environment,
    )
