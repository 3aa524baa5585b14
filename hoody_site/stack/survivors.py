"""End the survivors: processes that a killed supervisord has left running."""

import json
import os

from django.conf import settings

from daemon_programs.files import remove
from daemon_programs.programs import registration
from daemon_programs.supervisor.processes import survivors, tree
from daemon_programs.supervisor.processes.notes import Owner
from daemon_programs.supervisor.spec import Specification
from hoody_site.stack.problem import StackProblem

_STACK_GROUPS = {"api", "scheduler", "listener", "prober", "follower"}


def end_survivors() -> int:
    """End all survivors, and return their number; raise StackProblem if that fails.

    The lock must be held, so that the processes can't belong to another running supervisord. Programs get
    SIGTERM and their grace periods; the stack's own processes are killed at once, which loses nothing.
    """
    own = set(tree.lineage(os.getpid()))

    def search() -> survivors.Survivors:
        found = survivors.find(str(settings.NOTES_FOLDER))
        if own & {identity.pid for identity in found.owners}:
            raise StackProblem(
                "This command runs within a program that a killed stack has left running, and that must be "
                "ended before the next start: start the stack from somewhere else"
            )
        return found

    try:
        ended = survivors.end(search, _grace_of)
    except TimeoutError as problem:
        raise StackProblem(
            f"Processes that a killed stack has left running can't be ended: {problem}"
        ) from problem
    for note in settings.NOTES_FOLDER.iterdir():
        remove(note)
    return len(ended)


def _grace_of(owner: Owner) -> float:
    """Return a program's grace period, in seconds.

    Read it from the file that supervisord used, since the database may not be readable yet.
    """
    if owner.group in _STACK_GROUPS:
        return 0
    try:
        return float(json.loads(registration.file_of(owner.group).read_bytes())["stop_grace_seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return Specification.stop_grace_seconds
