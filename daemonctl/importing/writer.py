"""Write what was imported as the file that `daemonctl apply` reads, with notes as comments."""

import re
import textwrap
from typing import Any

import yaml

from daemonctl.importing.commands import has_variables, variables_written
from daemonctl.importing.program import Imported, ImportedProgram

_WIDTH = 100  # of comments; values are never broken
_ANY_WIDTH = 100_000
# A dollar that a reader of the file would take for the beginning of a variable.
_DOLLAR = re.compile(r"\$(?=[${])")
# Texts that some reader of YAML takes for a number or a time.
_LIKE_A_NUMBER = re.compile(r"[-+]?[0-9][0-9_.:eE+-]*")


class _Dumper(yaml.SafeDumper):
    """Write lists inside of maps indented, and texts in quotes that could be taken for something else."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _write_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    escaped = _DOLLAR.sub("$$", text)
    style = None
    if has_variables(text):
        style = '"'  # without them the value of a variable may be taken for a number
    elif _LIKE_A_NUMBER.fullmatch(text):
        style = "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", escaped, style)


_Dumper.add_representer(str, _write_text)


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
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_ANY_WIDTH)
    return variables_written(text).rstrip("\n").split("\n")
