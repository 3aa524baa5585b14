"""Apply a program's row to supervisord: write its configuration file, and make one call.

The signals do this inside the transaction that changes the row. If supervisord does not take the change,
the file is restored and the row is rolled back (see ``transactions``).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from django.conf import settings

from daemon_programs.exceptions import DaemonError
from daemon_programs.files import remove, replace_text
from daemon_programs.models import SupervisedProgram
from daemon_programs.supervisor.gateway import supervisor
from daemon_programs.transactions import on_failure

_offline = threading.local()


@contextmanager
def offline() -> Iterator[None]:
    """Change only the database in this block: the stack does not run, and its next start applies the rows."""
    previous = is_offline()
    _offline.on = True
    try:
        yield
    finally:
        _offline.on = previous


def is_offline() -> bool:
    """Return whether the current thread is in an ``offline`` block."""
    return getattr(_offline, "on", False)


def register(program: SupervisedProgram) -> None:
    """Make supervisord run the program as its row says."""
    if not is_offline():
        _change(program.group, program.specification().render())


def withdraw(program: SupervisedProgram) -> None:
    """Make supervisord stop and forget the program."""
    if not is_offline():
        _change(program.group, None)


def file_of(group: str) -> Path:
    """Return the path of a program's configuration file."""
    return Path(settings.PROGRAMS_FOLDER) / f"{group}.json"


def write_file(group: str, text: str) -> None:
    """Write a program's configuration file.

    It is not synced to the disk, because the folder is rebuilt from the database at every start.
    """
    file = file_of(group)
    if file.is_dir():
        remove(file)
    replace_text(file, text, durable=False)


def _change(group: str, text: str | None) -> None:
    """Change the file, or remove it if ``text`` is None, and undo that if the transaction fails."""
    file = file_of(group)
    previous = file.read_text() if file.is_file() else None
    on_failure(lambda: _restore(group, previous))
    _apply(group, text)


def _apply(group: str, text: str | None) -> None:
    if text is None:
        remove(file_of(group))
        supervisor.remove(group)
    else:
        write_file(group, text)
        supervisor.apply(group)


def _restore(group: str, text: str | None) -> None:
    if text is None:
        remove(file_of(group))
    else:
        write_file(group, text)
    # The change may have failed because supervisord is away, which then has nothing to restore.
    with suppress(DaemonError):
        _apply(group, text)
