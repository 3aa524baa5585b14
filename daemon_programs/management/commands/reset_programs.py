"""``manage.py reset_programs``: what ``POST programs/reset`` does."""

from typing import Any

from daemon_programs import backups, mirror
from daemon_programs.commands import DaemonCommand


class Command(DaemonCommand):
    help = "Replace all programs by those of programs.default.json; the replaced ones are kept in a file."

    def run(self, options: dict[str, Any]) -> str:
        kept = backups.reset()
        mirror.write()
        return f"The programs are reset. To undo it: manage.py import_programs {kept}"
