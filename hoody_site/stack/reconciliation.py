"""Reconcile programs, temporary programs and processes with the database, the source of truth."""

from daemon_programs.maintenance import reconcile as programs
from daemon_programs.maintenance.reconcile import Difference
from hoody_site.stack import database
from quick_start import lifecycle


def reconcile(*, dry_run: bool = False) -> list[Difference]:
    """Return the differences from the database, and repair them unless it is a dry run."""
    database.check()
    return [
        *programs.reconcile(dry_run=dry_run),
        *lifecycle.reconcile(dry_run=dry_run),
        *programs.unclaimed_processes(),
        *programs.preflight_problems(),
    ]


def recover() -> list[Difference]:
    """Repair the differences at the stack's start, before supervisord runs, and return them."""
    return [
        *programs.write_configuration(),
        *programs.keep_mirror(),
        *programs.correct(programs.check_mirror(programs.mirror.programs)),
        *lifecycle.recover(),
        *programs.preflight_problems(),
    ]
