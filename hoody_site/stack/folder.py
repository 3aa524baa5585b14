"""Create and check the state folder, and lock it for one stack at a time."""

import fcntl
import os
import secrets

from django.conf import settings

from daemon_programs.files import remove, remove_leftovers, replace_text
from hoody_site.settings import read_secret_key
from hoody_site.stack.problem import StackProblem

_FOLDERS = (
    settings.STATE_DIR,
    settings.PROGRAMS_FOLDER,
    settings.NOTES_FOLDER,
    settings.LOGS_DIR,
    settings.STACK_LOGS_DIR,
)


# Files that identify a state folder. A new one may hold the program files of an earlier installation.
_OWN_FILES = {
    file.name for file in (settings.LOCK_FILE, settings.PROGRAMS_FILE, settings.DEFAULT_PROGRAMS_FILE)
} | {"db.sqlite3"}


# Above `minfds`, so that a supervisord that is starting does not close it.
_LOCK_DESCRIPTOR = 500


def make_state_folder() -> None:
    """Create the state folder and its subfolders, accessible for this user only.

    Raise StackProblem if a folder belongs to another user, or holds files of something else.
    """
    os.umask(0o077)
    for folder in _FOLDERS:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.stat().st_uid != os.geteuid():
                raise PermissionError(f"{folder} belongs to another user, who could change all of it")
            if folder == settings.STATE_DIR and _is_used_otherwise():
                raise PermissionError(
                    f"{folder} holds other files: DAEMON_STATE_DIR must be a folder of its own"
                )
            folder.chmod(0o700)
        except OSError as problem:
            raise StackProblem(f"The state folder can't be used: {problem}") from problem


def _is_used_otherwise() -> bool:
    """Return whether the folder is open to other users and holds files that are not a stack's.

    A mistyped setting, such as /srv, must not close a folder to its users.
    """
    names = {entry.name for entry in settings.STATE_DIR.iterdir()} - {"lost+found"}
    is_open = settings.STATE_DIR.stat().st_mode & 0o077
    return bool(is_open and names and not names & _OWN_FILES)


def make_secret_key() -> None:
    """Create the secret key if it is missing; raise StackProblem if its file holds none.

    The lock must be held, so that stacks that start at the same time use one key.
    """
    file = settings.SECRET_KEY_FILE
    if not file.exists():
        replace_text(file, secrets.token_urlsafe(50) + "\n")
    elif not read_secret_key(file):
        raise StackProblem(
            f"{file} holds no key: restore it from a backup, or remove it, and the next start makes a new "
            "one, with which all users have to log in again"
        )


def make_admin_host() -> None:
    """Create the host name of the admin if it is missing: one that programs of this host can't guess."""
    if not settings.ADMIN_HOST_FILE.exists():
        replace_text(settings.ADMIN_HOST_FILE, f"{secrets.token_hex(10)}.localhost\n")


def lock_state_folder() -> int:
    """Lock the folder for as long as this process lives; raise StackProblem if another stack uses it.

    Return the descriptor that holds the lock. supervisord keeps it open and passes it to no child.
    """
    descriptor = os.open(settings.LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    lock = fcntl.fcntl(descriptor, fcntl.F_DUPFD, _LOCK_DESCRIPTOR)
    os.close(descriptor)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StackProblem(
            f"A stack already runs on {settings.STATE_DIR}: stop it first, or set DAEMON_STATE_DIR and "
            "DAEMON_BIND to run a second one"
        ) from None
    for folder in (settings.STATE_DIR, settings.PROGRAMS_FOLDER, settings.BACKUPS_FOLDER):
        remove_leftovers(folder)
    # Of a stack that was killed, or copied: supervisord can't replace all that may stand there.
    for leftover in (
        settings.SUPERVISORD_SOCKET,
        settings.CHANGES_SOCKET,
        settings.PROBES_SOCKET,
        settings.SUPERVISORD_PID,
    ):
        remove(leftover)
    return lock
