"""``manage.py reset_programs``: what ``POST programs/reset`` does."""

from typing import Any

from daemon_programs.maintenance import mirror, program_sets
from daemon_programs.management.base import DaemonCommand


class Command(DaemonCommand):
    help = "Replace all programs by those of programs.default.json; the replaced ones are kept in a file."

    def run(self, options: dict[str, Any]) -> str:
        kept = program_sets.reset()
        mirror.write()
        return f"The programs are reset. To undo it: manage.py import_programs {kept}"
