"""Bring the configuration folder, supervisord and the mirror in line with the database.

The database is what is wanted. Everything here may be called at any time and as often as one likes.
Temporary programs are not looked at: `quick_start.lifecycle` does that.
"""

from pathlib import Path

from django.conf import settings

from daemon_programs import mirror
from daemon_programs.files import replace_text
from daemon_programs.gateway import supervisor
from daemon_programs.models import PROGRAM_PREFIX, Program
from daemon_programs.transactions import write_transaction


def reconcile() -> list[str]:
    """Mend what is out of line, and return a sentence for each thing that was."""
    with write_transaction():  # nobody changes a program meanwhile
        states = supervisor.states()["programs"]
        mended = write_configuration()
        known = {group: state for group, state in states.items() if group.startswith(PROGRAM_PREFIX)}
        wanted = set(_wanted())
        for group in sorted(wanted - set(known)):
            supervisor.apply(group)
            mended.append(f"{group} was not known to supervisord")
        for group in sorted(set(known) - wanted):
            if not known[group]["changing"]:
                supervisor.remove(group)
                mended.append(f"{group} was still known to supervisord")
        for group in _changed(mended) & set(known):
            supervisor.apply(group)
    if mirror.write():
        mended.append("programs.json was not up to date")
    return mended


def write_configuration() -> list[str]:
    """Make the configuration folder what the database says."""
    folder = Path(settings.PROGRAMS_FOLDER)
    wanted = _wanted()
    mended = []
    for file in sorted(folder.glob(f"{PROGRAM_PREFIX}*")):
        if file.stem not in wanted or file.suffix != ".json":
            file.unlink()
            mended.append(f"{file.name} belonged to no program")
    for group, text in wanted.items():
        file = folder / f"{group}.json"
        if not file.exists() or file.read_text() != text:
            replace_text(file, text, durable=False)
            mended.append(f"{group} was not configured as it should be")
    return mended


def _wanted() -> dict[str, str]:
    return {
        program.group: program.specification().render() for program in Program.objects.filter(enabled=True)
    }


def _changed(mended: list[str]) -> set[str]:
    return {sentence.split()[0] for sentence in mended if "configured" in sentence}
