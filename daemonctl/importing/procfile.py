"""Procfiles, as honcho and foreman read them: one shell command a line."""

import re
from collections.abc import Sequence
from pathlib import Path

from daemonctl.importing.commands import command_line
from daemonctl.importing.env_files import as_honcho, refer
from daemonctl.importing.program import Imported, ImportedProgram, Wishes, only, text_of
from daemonctl.problems import Problem

_LINE = re.compile(r"([A-Za-z0-9_-]+):\s*(.+)")
_FIRST_PORT, _PORTS_APART = 5000, 100
_KILL_SECONDS = 5  # after which honcho ends by force what was asked to end


def read(files: Sequence[Path], wishes: Wishes) -> Imported:
    """Return the programs of a Procfile, with the variables of the `.env` beside it."""
    file = only(files, "A Procfile")
    folder = file.absolute().parent
    imported = Imported()
    imported.note(
        "honcho and foreman end all programs when one of them ends. Here each is restarted by itself; for "
        'one that is to end, write autorestart: "false"'
    )
    imported.note(
        "A Procfile names no user, and its programs inherit the variables of a terminal, such as PATH"
    )
    port = None
    for number, line in enumerate(text_of(file).splitlines(), start=1):
        found = _LINE.fullmatch(line)
        if not found:
            if line.strip() and not line.lstrip().startswith("#"):
                imported.note(f"Line {number} is not NAME: COMMAND, and ignored: {line.strip()}")
            continue
        program = ImportedProgram(
            {
                "name": found[1],
                "command": command_line(["/bin/sh", "-c", found[2]]),
                "user": wishes.default_user,
                "directory": str(folder),
                "boot": True,
                "autorestart": "true",
                "redirect_stderr": True,
                "stop_scope": "tree",
                "stop_grace_seconds": _KILL_SECONDS,
            }
        )
        variables = refer(program, folder / ".env", as_honcho) if (folder / ".env").exists() else {}
        if port is None:
            port = _first_port(variables, folder)
        program.fields.setdefault("environment", {})["PORT"] = str(port)
        port += _PORTS_APART
        imported.add(program, f"{file}:{number}")
    if not imported.programs:
        raise Problem(f"{file} has no line such as 'web: COMMAND'")
    return imported


def _first_port(variables: dict[str, str], folder: Path) -> int:
    try:
        return int(variables.get("PORT", _FIRST_PORT))
    except ValueError:
        raise Problem(f"{folder / '.env'}: PORT is not a number: '{variables['PORT']}'") from None
