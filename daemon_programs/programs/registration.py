"""Apply a program's row to supervisord: write its configuration file, and make one call.

The signals do this inside the transaction that changes the row. If supervisord does not take the change,
the file is restored and the row is rolled back (see ``transactions``).

A program is withdrawn only after the commit. It is stopped by that, which nothing can undo: if the process
were killed before the commit, the row would be back, and its program would stay stopped.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db import transaction

from daemon_programs.exceptions import DaemonError, SupervisorUnavailable
from daemon_programs.files import remove, replace_text
from daemon_programs.models import SupervisedProgram
from daemon_programs.supervisor.gateway import supervisor
from daemon_programs.transactions import on_failure

_offline = threading.local()
_starts = threading.local()  # `are_off` in a block `without_boot`
_to_withdraw = threading.local()  # groups that are withdrawn when the transaction commits


@contextmanager
def offline() -> Iterator[None]:
    """Change only the database in this block: the stack does not run, and its next start applies the rows."""
    previous = is_offline()
    _offline.on = True
    try:
        yield
    finally:
        _offline.on = previous


@contextmanager
def without_boot() -> Iterator[None]:
    """Register programs in this block without starting those with ``boot``: they were registered before."""
    _starts.are_off = True
    try:
        yield
    finally:
        _starts.are_off = False


def is_offline() -> bool:
    """Return whether the current thread is in an ``offline`` block."""
    return getattr(_offline, "on", False)


def register(program: SupervisedProgram) -> None:
    """Make supervisord run the program as its row says."""
    if is_offline():
        return
    if program.group in _groups_to_withdraw():  # another program had the id: it is stopped, not changed
        _groups_to_withdraw().discard(program.group)
        _change(program.group, None)
    specification = program.specification()
    if specification.autostart and getattr(_starts, "are_off", False):
        _change(program.group, replace(specification, autostart=False).render())
    _change(program.group, specification.render())  # which starts only what supervisord does not know yet


def withdraw(program: SupervisedProgram) -> None:
    """Make supervisord stop and forget the program when the transaction commits.

    Raise SupervisorUnavailable if supervisord can't be reached; then nothing has been changed.
    """
    if is_offline():
        return
    group = program.group
    supervisor.state(group)
    previous = _read_file(group)
    on_failure(lambda: _keep(group, previous))
    _groups_to_withdraw().add(group)
    remove(file_of(group))
    transaction.on_commit(partial(_withdraw_now, group))


def file_of(group: str) -> Path:
    """Return the path of a program's configuration file."""
    return Path(settings.PROGRAMS_FOLDER) / f"{group}.json"


def _read_file(group: str) -> str | None:
    file = file_of(group)
    return file.read_text() if file.is_file() else None


def write_file(group: str, text: str) -> None:
    """Write a program's configuration file.

    It is not synced to the disk, because the folder is rebuilt from the database at every start.
    """
    file = file_of(group)
    if file.is_dir():
        remove(file)
    replace_text(file, text, durable=False)


def _groups_to_withdraw() -> set[str]:
    if not hasattr(_to_withdraw, "groups"):
        _to_withdraw.groups = set()
    groups: set[str] = _to_withdraw.groups
    return groups


def _keep(group: str, text: str | None) -> None:
    """Undo what was done before the commit to withdraw a program."""
    _groups_to_withdraw().discard(group)
    if text is not None:
        write_file(group, text)


def _withdraw_now(group: str) -> None:
    if group not in _groups_to_withdraw():
        return  # it was registered again
    _groups_to_withdraw().discard(group)
    try:
        supervisor.remove(group)
    except SupervisorUnavailable as problem:
        raise SupervisorUnavailable(
            "The change is saved, but supervisord was lost before it could stop the program"
        ) from problem


def _change(group: str, text: str | None) -> None:
    """Change the file, or remove it if ``text`` is None, and undo that if the transaction fails."""
    previous = _read_file(group)
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
    # The change may have failed because supervisord is away, which then has nothing to restore but the file.
    with suppress(DaemonError):
        _apply(group, text)
