"""The follower as a part of the stack, which supervisord runs on a hub."""

import logging

from daemon_programs.exceptions import DaemonError
from daemon_programs.supervisor.gateway import supervisor
from fleet.models import Host

logger = logging.getLogger(__name__)

FOLLOWER = "follower"  # its name in supervisord


def is_wanted() -> bool:
    """Return whether there are hosts."""
    return Host.objects.exists()


def ensure_running() -> None:
    """Have supervisord run the follower, if it does not; the next start of a stack that is down does so."""
    if not supervisor.is_running():
        return
    try:
        supervisor.start_part(FOLLOWER)
    except DaemonError as problem:
        logger.warning("The follower can't be started at the moment: %s", problem)
