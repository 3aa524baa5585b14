"""Bring a program's row into supervisord's configuration: one file, one call.

Called by the signals, inside the transaction that changes the row. If supervisord does not take the
change, the file is put back as it was and the row is rolled back (``transactions``).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from django.conf import settings

from daemon_programs.exceptions import DaemonError
from daemon_programs.files import replace_text
from daemon_programs.models import SupervisedProgram
from daemon_programs.supervisor.gateway import supervisor
from daemon_programs.transactions import on_failure

_offline = threading.local()


@contextmanager
def offline() -> Iterator[None]:
    """Change rows only: for when the stack does not run, and its start brings the rest in line."""
    before = is_offline()
    _offline.on = True
    try:
        yield
    finally:
        _offline.on = before


def is_offline() -> bool:
    return getattr(_offline, "on", False)


def register(program: SupervisedProgram) -> None:
    """Have supervisord run what the row says."""
    if not is_offline():
        _change(program.group, program.specification().render())


def withdraw(program: SupervisedProgram) -> None:
    """Have supervisord stop and forget the program."""
    if not is_offline():
        _change(program.group, None)


def file_of(group: str) -> Path:
    return Path(settings.PROGRAMS_FOLDER) / f"{group}.json"


def write_file(group: str, text: str) -> None:
    """Write a program's configuration file.

    It is not synced to the disk, because the folder is rebuilt from the database at every start.
    """
    replace_text(file_of(group), text, durable=False)


def _change(group: str, text: str | None) -> None:
    file = file_of(group)
    before = file.read_text() if file.exists() else None
    on_failure(lambda: _put_back(group, before))
    _put(group, text)


def _put(group: str, text: str | None) -> None:
    if text is None:
        file_of(group).unlink(missing_ok=True)
        supervisor.remove(group)
    else:
        write_file(group, text)
        supervisor.apply(group)


def _put_back(group: str, text: str | None) -> None:
    if text is None:
        file_of(group).unlink(missing_ok=True)
    else:
        write_file(group, text)
    # It may be supervisord that is away: then there is nothing to put back in it.
    with suppress(DaemonError):
        _put(group, text)
