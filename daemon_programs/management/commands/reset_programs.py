"""``manage.py reset_programs``: the same as ``POST programs/reset``."""

from typing import Any

from django.conf import settings

from daemon_programs.maintenance import mirror
from daemon_programs.maintenance.sets import replacing
from daemon_programs.management.base import DaemonCommand


class Command(DaemonCommand):
    """Reset the programs."""

    help = "Replace all programs by those of programs.default.json; the replaced ones are saved to a file."

    def run(self, options: dict[str, Any]) -> str:
        """Reset the programs, and say how to undo it."""
        saved = replacing.reset()
        mirror.write()
        return f"The programs are reset. To undo it: {settings.COMMAND} import_programs {saved}"
