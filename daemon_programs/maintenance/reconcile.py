"""Bring the configuration folder, supervisord and the mirror in line with the database.

The database is what is wanted. What differs from it is found first, each difference with what mends it;
a dry run ends there. Everything here may be called at any time and as often as one likes. Temporary
programs are not looked at: `quick_start.lifecycle` does that, and `hoody_site.stack.reconciliation` all of it.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ValidationError

from daemon_programs.exceptions import DaemonError
from daemon_programs.maintenance import mirror
from daemon_programs.models import PROGRAM_PREFIX, Program
from daemon_programs.programs import preflight, registration
from daemon_programs.supervisor.gateway import supervisor
from daemon_programs.supervisor.spec import digest_of
from daemon_programs.supervisor.states import ProgramState
from daemon_programs.transactions import write_transaction

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Difference:
    """Something that is out of line: what it is, what is done about it, and the call that does it."""

    what: str
    remedy: str = ""  # empty: it is only told
    mend: Callable[[], object] | None = None
    fault: str = ""  # why it could not be mended

    def sentence(self, *, dry_run: bool = False) -> str:
        told = self.what
        if self.fault:
            told += f": could not be {self.remedy} ({self.fault})"
        elif self.remedy:
            told += f": {'to be ' if dry_run else ''}{self.remedy}"
        # Of names and commands, which the terminal that shows it must not obey.
        return "".join(each if each.isprintable() else repr(each)[1:-1] for each in told)


def mend(differences: Iterable[Difference], *, dry_run: bool = False) -> list[Difference]:
    """Mend them one after the other, unless it is a dry run; one that can't be doesn't hold up the next."""
    return [each if dry_run else _mend(each) for each in differences]


def _mend(difference: Difference) -> Difference:
    try:
        if difference.mend is not None:
            difference.mend()
    except (DaemonError, OSError) as problem:
        return replace(difference, fault=str(problem))
    return difference


def logged(differences: Iterable[Difference]) -> list[str]:
    """What was out of line, as sentences that stand in the log too."""
    sentences = [difference.sentence() for difference in differences]
    for sentence in sentences:
        logger.warning("Reconciled: %s", sentence)
    return sentences


def reconcile(*, dry_run: bool = False) -> list[Difference]:
    """Mend what is out of line, and return what that was."""
    with write_transaction():  # nobody changes a program meanwhile
        states = supervisor.states()["programs"]
        known = {group: state for group, state in states.items() if group.startswith(PROGRAM_PREFIX)}
        wanted = _wanted()
        found = mend([*_in_folder(wanted), *_in_supervisord(wanted, known)], dry_run=dry_run)
    return [*found, *mend(of_mirror(mirror.programs), dry_run=dry_run)]


def of_mirror(file: mirror.Mirror) -> Iterator[Difference]:
    """Whether a file for other tools is behind."""
    if not file.is_current():
        yield Difference(f"{file.name} is not what the database says", "written anew", file.write)


def write_configuration() -> list[Difference]:
    """Make the configuration folder what the database says, before there is a supervisord."""
    return mend(_in_folder(_wanted()))


def in_the_way() -> list[Difference]:
    """The programs that can't be run as they are. They are marked, and wait for a person."""
    return [
        Difference(f"'{program.name}' ({program.pk}) can't be run: {obstacle}")
        for program in Program.objects.filter(enabled=True)
        if (obstacle := preflight.obstacle(program))
    ]


def _wanted() -> dict[str, str]:
    """The files by group. One that can't be made is left out: `in_the_way` tells of it."""
    wanted = {}
    for program in Program.objects.filter(enabled=True):
        with suppress(ValidationError, *preflight.BROKEN):
            wanted[program.group] = program.specification().render()
    return wanted


def _in_folder(wanted: dict[str, str]) -> Iterator[Difference]:
    folder = Path(settings.PROGRAMS_FOLDER)
    for file in sorted((*folder.glob(f"{PROGRAM_PREFIX}*"), *folder.glob(f".{PROGRAM_PREFIX}*"))):
        if file.stem not in wanted or file.suffix != ".json":
            yield Difference(f"conf.d/{file.name} belongs to no program", "removed", file.unlink)
    for group, text in wanted.items():
        file = registration.file_of(group)
        if not _has(file, text):
            write = partial(registration.write_file, group, text)
            yield Difference(f"conf.d/{file.name} is not what the database says", "written anew", write)


def _in_supervisord(wanted: dict[str, str], known: dict[str, ProgramState]) -> Iterator[Difference]:
    for group, text in sorted(wanted.items()):
        apply = partial(supervisor.apply, group)
        if group not in known:
            yield Difference(f"{group} is not known to supervisord", "registered", apply)
        elif not known[group]["changing"] and known[group]["digest"] != digest_of(text.encode()):
            yield Difference(f"supervisord does not have {group} as the database has it", "changed", apply)
    for group in sorted(set(known) - set(wanted)):
        if not known[group]["changing"]:
            remove = partial(supervisor.remove, group)
            yield Difference(f"{group} is still known to supervisord", "withdrawn", remove)


def _has(file: Path, text: str) -> bool:
    try:
        return file.read_bytes() == text.encode()
    except OSError:
        return False
