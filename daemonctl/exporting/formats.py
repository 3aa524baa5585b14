"""The formats by name, and the folder that files are written into."""

import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from daemonctl.exporting.program import Exported
from daemonctl.problems import Problem

_WRITERS = {"systemd": "systemd.services", "nomad": "nomad.jobs"}
FORMATS = tuple(_WRITERS)


def write(programs: Sequence[Mapping[str, Any]], form: str, folder: Path) -> Exported:
    """Write programs into a folder, which is made if need be, and return what was written.

    Raise Problem, and write nothing, if a file is there already or can't be made.
    """
    writer: Callable[[Sequence[Mapping[str, Any]], Path], Exported] = import_module(
        f"daemonctl.exporting.{_WRITERS[form]}"
    ).write
    folder = folder.absolute()
    exported = writer(programs, folder)
    for file in exported.files:
        if os.path.lexists(folder / file.name):
            raise Problem(f"{folder / file.name} is there already")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in exported.files:
            # Never through a link, and never readable by others for a moment.
            descriptor = os.open(
                folder / file.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if file.is_secret else 0o644
            )
            with open(descriptor, "w", encoding="utf-8") as opened:
                opened.write(file.text)
    except OSError as problem:
        raise Problem(f"{folder} can't be written: {problem.strerror or problem}") from None
    return exported
