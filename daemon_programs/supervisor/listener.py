"""The event listener: supervisord's protocol on standard input and output, a signal on the other side.

Standard output belongs to the protocol; everything else is said on standard error.
"""

import logging
import sys
from collections.abc import Callable

from supervisor.childutils import listener as protocol

from daemon_programs.supervisor.events import ProgramEnd, StateChange, parse

logger = logging.getLogger(__name__)


def listen(handle: Callable[[StateChange | ProgramEnd], None]) -> None:
    """Hand each state change and each end of a temporary program to ``handle``, for ever.

    An event that can't be handled is logged and taken as done: supervisord would send it again at
    once, and again, and no other one would get through.
    """
    stdin, stdout = sys.stdin, sys.stdout
    sys.stdout = sys.stderr  # a stray print must not reach the protocol
    while True:
        _, payload = protocol.wait(stdin, stdout)
        try:
            if told := parse(payload):
                handle(told)
        except Exception:
            logger.exception("An event could not be handled")
        protocol.ok(stdout)
