"""The state folder: made, checked, and locked for one stack at a time."""

import fcntl
import os
import secrets

from django.conf import settings

from daemon_programs.files import remove_leftovers, replace_text
from hoody_site.stack.problem import StackProblem

_FOLDERS = (
    settings.STATE_DIR,
    settings.PROGRAMS_FOLDER,
    settings.NOTES_FOLDER,
    settings.LOGS_DIR,
    settings.STACK_LOGS_DIR,
)


# One of these shows that a folder is a stack's, or is meant to be: who moves in may bring the programs.
_OWN_FILES = {
    file.name for file in (settings.LOCK_FILE, settings.PROGRAMS_FILE, settings.DEFAULT_PROGRAMS_FILE)
} | {"db.sqlite3"}


# Above `minfds`, so that supervisord leaves it alone when it sets itself up anew.
_LOCK_DESCRIPTOR = 500


def make_state_folder() -> None:
    """The state folder and those in it, for this user only."""
    os.umask(0o077)
    for folder in _FOLDERS:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.stat().st_uid != os.geteuid():
                raise PermissionError(f"{folder} belongs to somebody else, who could change all of it")
            if folder == settings.STATE_DIR and _is_of_others():
                raise PermissionError(
                    f"{folder} holds other things: DAEMON_STATE_DIR must be a folder of its own"
                )
            folder.chmod(0o700)
        except OSError as problem:
            raise StackProblem(f"The state folder can't be used: {problem}") from problem


def _is_of_others() -> bool:
    """Whether a folder that a mistyped setting names, such as /srv, would be closed to who uses it."""
    names = {entry.name for entry in settings.STATE_DIR.iterdir()} - {"lost+found"}
    is_open = settings.STATE_DIR.stat().st_mode & 0o077
    return bool(is_open and names and not names & _OWN_FILES)


def make_secret_key() -> None:
    """On the first start. Called with the lock held: there is one key, whoever starts at the same time."""
    if not settings.SECRET_KEY_FILE.exists():
        replace_text(settings.SECRET_KEY_FILE, secrets.token_urlsafe(50) + "\n")


def lock_state_folder() -> int:
    """Make sure that only one stack uses the folder, for as long as this process lives.

    Returns the descriptor that holds the lock: supervisord keeps it, and gives it to no child.
    """
    descriptor = os.open(settings.LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    lock = fcntl.fcntl(descriptor, fcntl.F_DUPFD, _LOCK_DESCRIPTOR)
    os.close(descriptor)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StackProblem(
            f"A stack already runs on {settings.STATE_DIR}: stop it first, or set DAEMON_STATE_DIR and "
            "DAEMON_BIND to run another one beside it"
        ) from None
    for folder in (settings.STATE_DIR, settings.PROGRAMS_FOLDER, settings.BACKUPS_FOLDER):
        remove_leftovers(folder)
    return lock
