"""Configuration of gunicorn: one worker process with many threads.

There must be only one worker process: waiting requests are woken through its memory, and one of its threads
writes to all live streams.
"""

import contextlib
import gc
import os
import signal
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hoody_site.settings")

from django.conf import settings

from daemon_programs.streams import descriptors

bind = f"{settings.BIND_HOST}:{settings.BIND_PORT}"
workers = 1
worker_class = "hoody_site.server.gunicorn_worker.HandoverWorker"
threads = settings.THREADS
worker_connections = 2000  # or a quarter of the limit of open files
# Each thread has connections to the database and to supervisord, and streams hold files and sockets.
descriptors.raise_limit(8192)
keepalive = 10  # seconds until an idle connection is closed (a request may take REQUEST_SECONDS to arrive)
timeout = 120
graceful_timeout = 5
limit_request_line = 8190
control_socket_disable = True
proc_name = "daemon-api"
# The worker's heartbeat file is kept in memory, so that a slow disk doesn't look like a hanging worker.
_SHARED_MEMORY = "/dev/shm"  # noqa: S108
worker_tmp_dir = _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else None


def when_ready(server: Any) -> None:
    """Announce in the terminal that the API accepts connections."""
    from daemon_programs.exceptions import DaemonError
    from daemon_programs.supervisor.client import Supervisor

    # Not the shared client: the worker is forked from this process and must not share its connection.
    with contextlib.suppress(DaemonError):
        Supervisor(settings.SUPERVISORD_SOCKET).announce()


def post_fork(server: Any, worker: Any) -> None:
    """Look for no garbage until the project is imported, as ``manage.py`` does."""
    gc.disable()


def post_worker_init(worker: Any) -> None:
    """Refresh the mirror files, and start the watchdog of the queue and the sampler of usage.

    On SIGTERM, abort all waiting requests, end the streams and write the samples before gunicorn stops.
    """
    from daemon_programs.maintenance import mirror as programs_mirror
    from daemon_programs.programs.observed import samples
    from daemon_programs.streams.pump import pump
    from daemon_programs.supervisor.gateway import changes
    from hoody_site.stack import watchdog
    from quick_start import mirror as ephemeral_mirror

    watchdog.start()
    samples.start()
    programs_mirror.touch()
    ephemeral_mirror.touch()
    stop = signal.getsignal(signal.SIGTERM)

    def close_then_stop(signum: int, frame: Any) -> None:
        changes.close()
        pump.close()
        samples.save()
        stop(signum, frame)  # type: ignore[operator,misc]

    signal.signal(signal.SIGTERM, close_then_stop)
