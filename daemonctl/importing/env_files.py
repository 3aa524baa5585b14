"""Files of variables beside the files of other tools."""

import io
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from daemonctl.importing.program import ImportedProgram, text_of
from daemonctl.problems import Problem

Parser = Callable[[str], dict[str, str]]


def as_dotenv(text: str) -> dict[str, str]:
    """Return the variables of a file as the daemon reads it when it starts a program."""
    values = dotenv_values(stream=io.StringIO(text), interpolate=False)
    return {name: value for name, value in values.items() if value is not None}


def as_honcho(text: str) -> dict[str, str]:
    """Return the variables of a file as honcho reads it: a line each, in words of a shell.

    Raise ValueError with the number of a line that it can't read.
    """
    values = {}
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            tokens = list(shlex.shlex(line, posix=True))
        except ValueError as problem:
            raise ValueError(f"{number}: {str(problem).lower()}") from None
        if len(tokens) < 3 or tokens[1] != "=" or not _begins_a_name(tokens[0]):
            continue
        values[tokens[0]] = "".join(tokens[2:]).replace(r"\n", "\n").replace(r"\t", "\t")
    return values


def _begins_a_name(text: str) -> bool:
    return text[:1].isascii() and (text[:1].isalpha() or text[:1] == "_")


def refer(program: ImportedProgram, file: Path, parse: Parser) -> dict[str, str]:
    """Have a program read a file of variables at each start; return them.

    A file that the daemon would read differently is copied into `environment`.
    """
    text = text_of(file)
    try:
        values = parse(text)
    except ValueError as problem:
        raise Problem(f"{file}:{problem}") from None
    fields: dict[str, Any] = program.fields
    if values == as_dotenv(text):
        fields.setdefault("env_file", []).append(str(file.absolute()))
    else:
        program.set_environment({**values, **fields.get("environment", {})})
        program.note(f"Copied from {file.name}, which env_file would read differently", "environment")
    return values
