"""Correct what differs from the database in the configuration folder, supervisord and ``programs.json``.

The database is the source of truth. Differences are found first, and then corrected unless it is a dry
run. Every function can be called at any time, and repeatedly. Temporary programs are reconciled by
`quick_start.lifecycle`, and everything together by `hoody_site.stack.reconciliation`.
"""

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError

from daemon_programs.exceptions import DaemonError
from daemon_programs.files import remove, replace_text
from daemon_programs.maintenance import mirror
from daemon_programs.maintenance.kept import Kept
from daemon_programs.models import PROGRAM_PREFIX, Program
from daemon_programs.programs import preflight, registration
from daemon_programs.programs.observed import unclaimed
from daemon_programs.serializers.representation import program_document
from daemon_programs.supervisor.gateway import supervisor
from daemon_programs.supervisor.spec import digest_of
from daemon_programs.supervisor.states import ProgramState
from daemon_programs.timestamps import file_stamp
from daemon_programs.transactions import write_transaction

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Difference:
    """Something that differs from the database, and how it is corrected."""

    description: str
    correction: str = ""  # a participle such as "removed"; empty if it is only reported
    apply: Callable[[], object] | None = None  # makes the correction
    error: str = ""  # why the correction failed

    def sentence(self, *, dry_run: bool = False) -> str:
        """Return the difference and what was done about it; what would be done, if it was a dry run."""
        text = self.description
        if self.error:
            text += f": could not be {self.correction} ({self.error})"
        elif self.correction:
            text += f": {'to be ' if dry_run else ''}{self.correction}"
        # Names and commands may contain control sequences, which a terminal would execute.
        return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def correct(differences: Iterable[Difference], *, dry_run: bool = False) -> list[Difference]:
    """Correct each difference, unless it is a dry run, and return all; one that fails has an ``error``."""
    return [each if dry_run else _correct(each) for each in differences]


def _correct(difference: Difference) -> Difference:
    try:
        if difference.apply is not None:
            difference.apply()
    except (DaemonError, OSError) as problem:
        return replace(difference, error=str(problem))
    return difference


def log_differences(differences: Iterable[Difference]) -> list[str]:
    """Log the differences, and return them as sentences."""
    sentences = [difference.sentence() for difference in differences]
    for sentence in sentences:
        logger.warning("Reconciled: %s", sentence)
    return sentences


def reconcile(*, dry_run: bool = False) -> list[Difference]:
    """Correct what differs from the database, unless it is a dry run; return the differences."""
    with write_transaction():  # so that no program is changed in the meantime
        states = supervisor.states()["programs"]
        known = {group: state for group, state in states.items() if group.startswith(PROGRAM_PREFIX)}
        wanted = _kept_wanted()
        found = correct([*_check_folder(wanted), *_check_supervisord(wanted, known)], dry_run=dry_run)
    return [*found, *correct(check_mirror(mirror.programs), dry_run=dry_run)]


def check_mirror(file: mirror.Mirror) -> Iterator[Difference]:
    """Yield a difference if a mirror is not up to date."""
    if not file.is_current():
        yield Difference(f"{file.name} differs from the database", "rewritten", file.write)


def keep_mirror() -> list[Difference]:
    """Save ``programs.json`` before it is written over, if it has programs that the database lacks.

    An older copy of the database was put in place then, or another database.
    """
    file = Path(settings.PROGRAMS_FILE)
    try:
        text = file.read_text(encoding="utf-8")
        documents = json.loads(text)["programs"]
        known = {program.pk: program_document(program) for program in Program.objects.all()}
        if all(_holds(known.get(each["id"], {}), each) for each in documents):
            return []
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []  # there is none, or nothing could be loaded from it
    copy = Path(settings.BACKUPS_FOLDER) / f"programs-{file_stamp()}.json"
    copy.parent.mkdir(mode=0o700, exist_ok=True)
    keep = partial(replace_text, copy, text)
    description = f"{file.name} has programs that the database lacks"
    return correct([Difference(description, f"kept as {copy.parent.name}/{copy.name}", keep)])


def _holds(known: dict[str, Any], document: dict[str, Any]) -> bool:
    """Return whether a program is what a document of it says. An upgrade may have added fields."""
    return all(known.get(key) == value for key, value in document.items())


def write_configuration() -> list[Difference]:
    """Write the configuration folder from the database, before supervisord is started."""
    return correct(_check_folder(_wanted()))


def preflight_problems() -> list[Difference]:
    """Return the enabled programs that can't be run, and why; a person has to correct them."""
    return [
        Difference(f"'{program.name}' ({program.pk}) can't be run: {problem}")
        for program in Program.objects.filter(enabled=True)
        if (problem := preflight.problem(program))
    ]


def unclaimed_processes() -> list[Difference]:
    """Return the processes that belong to no program; they end with the stack, or by hand."""
    found = unclaimed.describe(supervisor.states()["unclaimed"])
    if not found:
        return []
    shown = ", ".join(f"{process['command']} (pid {process['pid']})" for process in found)
    return [Difference(f"processes that belong to no program: {shown}")]


def _wanted() -> dict[str, str]:
    """Return the text of each configuration file, by group.

    A program that has none, because its row is invalid, is left out; `preflight_problems` reports it.
    """
    wanted = {}
    for program in Program.objects.filter(enabled=True):
        with suppress(ValidationError, *preflight.INVALID_ROW_ERRORS):
            wanted[program.group] = program.specification().render()
    return wanted


_kept_wanted = Kept(_wanted)


def _check_folder(wanted: dict[str, str]) -> Iterator[Difference]:
    folder = Path(settings.PROGRAMS_FOLDER)
    for file in sorted((*folder.glob(f"{PROGRAM_PREFIX}*"), *folder.glob(f".{PROGRAM_PREFIX}*"))):
        if file.stem not in wanted or file.suffix != ".json":
            yield Difference(f"conf.d/{file.name} belongs to no program", "removed", partial(remove, file))
    for group, text in wanted.items():
        file = registration.file_of(group)
        if not _has(file, text):
            write = partial(registration.write_file, group, text)
            yield Difference(f"conf.d/{file.name} differs from the database", "rewritten", write)


def _check_supervisord(wanted: dict[str, str], known: dict[str, ProgramState]) -> Iterator[Difference]:
    for group, text in sorted(wanted.items()):
        apply = partial(supervisor.apply, group)
        if group not in known:
            yield Difference(f"{group} is not known to supervisord", "registered", apply)
        elif not known[group]["changing"] and known[group]["digest"] != digest_of(text.encode()):
            yield Difference(f"{group} differs between supervisord and the database", "updated", apply)
    for group in sorted(set(known) - set(wanted)):
        if not known[group]["changing"]:
            remove = partial(supervisor.remove, group)
            yield Difference(f"{group} is still known to supervisord", "withdrawn", remove)


def _has(file: Path, text: str) -> bool:
    try:
        return file.read_bytes() == text.encode()
    except OSError:
        return False
