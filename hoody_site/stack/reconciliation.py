"""Everything that is to agree, brought in line: lasting and temporary programs, and the process table."""

from daemon_programs.maintenance import orphaned_processes
from daemon_programs.maintenance import reconcile as programs
from daemon_programs.maintenance.reconcile import Difference
from hoody_site.stack import database
from quick_start import lifecycle


def reconcile(*, dry_run: bool = False) -> list[Difference]:
    """Find what is out of line, mend it unless it is a dry run, and return what that was."""
    database.check()
    return [
        *programs.reconcile(dry_run=dry_run),
        *lifecycle.reconcile(dry_run=dry_run),
        *orphaned_processes.end(dry_run=dry_run),
        *programs.in_the_way(),
    ]


def recover() -> list[Difference]:
    """The same at the stack's start, before there is a supervisord."""
    return [
        *programs.write_configuration(),
        *programs.mend(programs.of_mirror(programs.mirror.programs)),
        *lifecycle.recover(),
        *programs.in_the_way(),
    ]
