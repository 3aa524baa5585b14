"""Start the stack: prepare everything that supervisord needs, in order, then become supervisord."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings

from daemon_programs.maintenance.reconcile import Difference
from hoody_site.stack import (
    address,
    backup,
    configuration,
    database,
    first_start,
    folder,
    reconciliation,
    shortages,
    survivors,
)

# How long to wait for the API's address after survivors were ended.
_ADDRESS_WAIT_SECONDS = 5


@dataclass(frozen=True)
class Start:
    """The results of the preparation."""

    lock: int  # the descriptor that holds the lock of the state folder
    recovered: list[Difference]
    secrets: first_start.Secrets | None  # only on the first start


def prepare(report: Callable[[str], object]) -> Start:
    """Prepare the state folder for supervisord; ``report`` is called with sentences for the user.

    Raise StackProblem, DatabaseUnusable, OSError or DatabaseError if the stack can't be started.
    """
    shortages.check()
    folder.make_state_folder()
    shortages.provide_temporary_folder()
    lock = folder.lock_state_folder()
    folder.make_secret_key()
    backup.finish_restore()
    folder.make_admin_host()
    if ended := survivors.end_survivors():
        report(f"Ended {ended} processes that a killed stack had left behind.")
    address.check_address(patience_seconds=_ADDRESS_WAIT_SECONDS if ended else 0)
    database.prepare()
    database.prepare_hub(report)
    first_start.load_programs()
    recovered = reconciliation.recover()
    configuration.write_supervisord_configuration()
    secrets = first_start.make_first_administrator()  # last: they are shown only once
    return Start(lock, recovered, secrets)


def become_supervisord(lock: int) -> None:
    """Replace this process with supervisord, so that signals reach supervisord directly."""
    os.chdir(settings.BASE_DIR)
    environment = {**os.environ, "PYTHONUTF8": "1", "DJANGO_SETTINGS_MODULE": "hoody_site.settings"}
    del environment["TZ"]
    if settings.HOST_TIME_ZONE is not None:
        environment["TZ"] = settings.HOST_TIME_ZONE
    os.set_inheritable(lock, True)
    os.execve(
        sys.executable,
        [sys.executable, "-m", "daemon_programs.supervisor.foreground", "-c", str(settings.SUPERVISORD_CONF)],
        environment,
    )
