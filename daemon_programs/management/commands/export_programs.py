"""``manage.py export_programs [FILE]``: write all programs as JSON, for ``import_programs``."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from daemon_programs.files import replace_text
from daemon_programs.maintenance.sets import replacing
from daemon_programs.management.base import DaemonCommand


class Command(DaemonCommand):
    """Export the programs."""

    help = "Write all programs to a file (mode 0600: environments may hold secrets), or to standard output."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the file, which is optional."""
        parser.add_argument("file", type=Path, nargs="?")

    def run(self, options: dict[str, Any]) -> str:
        """Write the file, or return its text."""
        file: Path | None = options["file"]
        text = replacing.export_text()
        if file is None:
            return text.removesuffix("\n")
        replace_text(file, text)
        return f"Exported to {file}."
