"""The tables of programs, their history and their webhook deliveries."""

from daemon_programs.models.delivery import Delivery, WebhookCount, WebhookSecret
from daemon_programs.models.event import Event
from daemon_programs.models.kept_answer import KeptAnswer
from daemon_programs.models.program import (
    PROGRAM_PREFIX,
    Program,
)
from daemon_programs.models.supervised import SupervisedProgram, folder_name

__all__ = [
    "PROGRAM_PREFIX",
    "Delivery",
    "Event",
    "KeptAnswer",
    "Program",
    "SupervisedProgram",
    "WebhookCount",
    "WebhookSecret",
    "folder_name",
]
