"""The errors that are told to people, each with its sentence; others are bugs."""

import logging

from django.core.exceptions import ValidationError
from django.db import DatabaseError

from daemon_programs.exceptions import DaemonError

logger = logging.getLogger(__name__)

REPORTED_ERRORS = (DaemonError, ValidationError, DatabaseError, OSError)


def error_message(problem: Exception) -> str:
    """Return the sentence for one of ``REPORTED_ERRORS``; log what the sentence does not explain."""
    if isinstance(problem, ValidationError):
        return " ".join(problem.messages)
    if isinstance(problem, DaemonError):
        return str(problem)
    logger.error("A change failed", exc_info=problem)
    return "The state of the daemon can't be written or read at the moment"


def error_code(problem: Exception) -> str:
    """Return the stable word for one of ``REPORTED_ERRORS``, as the API's error responses have it."""
    if isinstance(problem, ValidationError):
        return "invalid"
    return problem.code if isinstance(problem, DaemonError) else "state_unavailable"
