"""Write what was imported as the file that `daemonctl apply` reads, with notes as comments."""

import textwrap
from typing import Any

from daemonctl.importing.commands import variables_written
from daemonctl.importing.program import Imported, ImportedProgram
from daemonctl.manifest import write

_WIDTH = 100  # of comments; values are never broken


def to_yaml(imported: Imported, set_name: str | None = None) -> str:
    """Return the file, as text."""
    head = [line for note in imported.notes for line in _comment(note)]
    lines = [*head, ""] if head else []
    if set_name is not None:
        lines += _dumped({"set": set_name})
    if not imported.programs:
        lines.append("programs: []")
    else:
        lines.append("programs:")
    for program in imported.programs:
        lines += [*_program(program), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _program(program: ImportedProgram) -> list[str]:
    fields = program.in_order()
    about_all = [note.text for note in program.notes if note.field not in fields]
    lines = [f"  {line}" for text in about_all for line in _comment(text)]
    sign = "- "
    for key, value in fields.items():
        notes = [line for note in program.notes if note.field == key for line in _comment(note.text)]
        for line in [*notes, *_dumped({key: value})]:
            lines.append(f"  {sign}{line}" if line else "")
            sign = "  "
    return lines


def _comment(text: str) -> list[str]:
    return textwrap.wrap(
        variables_written(" ".join(text.split())),
        _WIDTH,
        initial_indent="# ",
        subsequent_indent="#   ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _dumped(document: dict[str, Any]) -> list[str]:
    return variables_written(write.to_yaml(document)).rstrip("\n").split("\n")
