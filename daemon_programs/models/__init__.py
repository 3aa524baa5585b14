"""What is kept of programs: what is to run, and what has happened. One module a table."""

from daemon_programs.models.delivery import Delivery, WebhookSecret
from daemon_programs.models.event import Event
from daemon_programs.models.program import (
    PROGRAM_PREFIX,
    STOP_GRACE_SECONDS,
    Program,
    SupervisedProgram,
    folder_name,
)

__all__ = [
    "PROGRAM_PREFIX",
    "STOP_GRACE_SECONDS",
    "Delivery",
    "Event",
    "Program",
    "SupervisedProgram",
    "WebhookSecret",
    "folder_name",
]
