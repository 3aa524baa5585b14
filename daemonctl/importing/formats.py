"""The formats by name, and which one a file is of."""

import re
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from daemonctl.importing.program import Imported, Wishes, text_of
from daemonctl.problems import Problem

_READERS = {
    "supervisord": "supervisord.programs",
    "procfile": "procfile",
    "pm2": "pm2.apps",
    "process-compose": "process_compose.processes",
    "systemd": "systemd.services",
}
FORMATS = tuple(_READERS)
_SCRIPTS = (".js", ".cjs", ".mjs", ".json")


def read(files: Sequence[Path], form: str | None, wishes: Wishes) -> Imported:
    """Return the programs of files of one format, which is guessed if it is not given."""
    form = form or guess(files[0])
    if wishes.environment is not None and form != "pm2":
        raise Problem("Only files of pm2 have environments to choose by --env")
    reader: Callable[[Sequence[Path], Wishes], Imported] = import_module(
        f"daemonctl.importing.{_READERS[form]}"
    ).read
    try:
        return reader(files, wishes)
    except Problem as problem:
        raise Problem(" ".join(problem.message.split())) from None  # what it quotes may have several lines


def guess(file: Path) -> str:
    """Return the format of a file by its name, or else by its content; raise Problem if it is neither."""
    name = file.name.lower()
    if "procfile" in name:
        return "procfile"
    if name.endswith(".service"):
        return "systemd"
    if name.endswith(_SCRIPTS) or name.startswith("ecosystem."):
        return "pm2"
    text = text_of(file)
    for form, pattern in (
        ("systemd", r"^\[Service\]"),
        ("supervisord", r"^\[(program:.+|supervisord)\]"),
        ("process-compose", r"^[\"']?processes[\"']?:"),
        ("pm2", r"^[\"']?apps[\"']?:"),
        ("procfile", r"\A(\s*(#.*)?\n)*[A-Za-z0-9_-]+:[ \t]*\S"),
    ):
        if re.search(pattern, text, re.MULTILINE):
            return form
    raise Problem(f"{file} is of no known format; name it: --from {', --from '.join(FORMATS)}")
