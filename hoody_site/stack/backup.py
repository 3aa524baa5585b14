"""Back up what can't be made again to one file, and restore such a file.

A backup is an archive of the database, as an SQLite file whichever engine has it, and of the files in
``_FILES``. So it can be restored with either engine. Everything else in the state folder is
made from these at a start, or is a log.

A restore first unpacks and checks everything, and then puts it into place. That last step is repeated by the
next start if it was cut short, so there is never a half restored folder.
"""

import shutil
import sqlite3
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model

from daemon_programs.exceptions import BackupUnusable
from daemon_programs.files import replace_with, sync_files, sync_folder
from daemon_programs.timestamps import file_stamp
from hoody_site.stack import database, folder, survivors, transfer

_DATABASE = database.FILE.name
_FILES = (
    settings.SECRET_KEY_FILE,
    settings.API_TOKEN_FILE,
    settings.DEFAULT_PROGRAMS_FILE,
    # One that is given is kept elsewhere on purpose.
    *(() if settings.HOSTS_KEY_IS_GIVEN else (settings.HOSTS_KEY_FILE,)),
)
_NAMES = (_DATABASE, *(file.name for file in _FILES))
# SQLite's companions of a database. An old one would be replayed over a restored database.
_COMPANIONS = ("-wal", "-shm", "-journal")
_SQLITE_HEADER = b"SQLite format 3\0"
_UNREADABLE = (tarfile.TarError, sqlite3.Error, zlib.error, EOFError, OSError, ValueError)


def back_up(file: Path) -> None:
    """Write a backup to a file with mode 0600, also while the stack runs.

    Raise BackupUnusable if there is nothing to back up, and DatabaseUnusable if the database is damaged.
    """
    if not settings.DATABASE_URL and not database.FILE.exists():
        raise BackupUnusable(f"There is no database in {settings.STATE_DIR}: has the stack ever run?")
    database.check()
    with _private_folder(file.parent) as unpacked, replace_with(file) as target:
        copy = unpacked / _DATABASE
        if settings.DATABASE_URL:
            transfer.copy_to_file(copy)
        else:
            database.copy_file(database.FILE, copy)
        with tarfile.open(fileobj=target, mode="w:gz") as archive:
            for each in (copy, *_FILES):
                if each.exists():
                    archive.add(each, arcname=each.name, filter=_private)


def restore(file: Path) -> Path | None:
    """Replace database, secret key, token and defaults by those of a backup.

    Return the folder that the replaced files were moved to; None if there were none. Raise StackProblem if
    the stack runs, and BackupUnusable if the file can't be restored: then nothing was changed.
    """
    folder.make_state_folder()
    folder.lock_state_folder()  # until this process ends
    finish_restore()  # of an earlier restore that was cut short
    with _private_folder(settings.STATE_DIR) as unpacked:
        _unpack(file, unpacked)
        _check(file, unpacked / _DATABASE)
        survivors.end_survivors()  # which may still write to the database
        sync_files(unpacked)
        unpacked.rename(settings.RESTORE_FOLDER)  # from here on, a start finishes what is cut short
    sync_folder(settings.STATE_DIR)
    return finish_restore()


def finish_restore() -> Path | None:
    """Put the files of a checked backup into place; return the folder of the replaced ones.

    The lock must be held. Return None if no backup is to be restored, or nothing was replaced.
    """
    if not settings.RESTORE_FOLDER.is_dir():
        return None
    kept = settings.BACKUPS_FOLDER / f"replaced-{file_stamp()}"
    for name in _NAMES:
        restored = settings.RESTORE_FOLDER / name
        if settings.DATABASE_URL and name == _DATABASE and restored.exists():
            _load_into_server(restored, kept)
        elif restored.exists():
            _move_away(name, kept)
            restored.rename(settings.STATE_DIR / name)
    _move_away(settings.PROGRAMS_FILE.name, kept)  # the mirror of the replaced database
    settings.SAMPLES_FILE.unlink(missing_ok=True)  # the ids in it may be those of other programs now
    sync_folder(settings.STATE_DIR)
    settings.RESTORE_FOLDER.rmdir()
    return kept if kept.exists() else None


def _load_into_server(restored: Path, kept: Path) -> None:
    """Replace all rows of the database by those of a backup, and keep the replaced ones as a file."""
    database.migrate()
    if get_user_model().objects.exists():
        kept.mkdir(mode=0o700, parents=True, exist_ok=True)
        transfer.copy_to_file(kept / _DATABASE)
    transfer.copy_from_file(restored)
    restored.unlink()


def _move_away(name: str, kept: Path) -> None:
    """Move a file of the state folder, with its companions, to the folder of what was replaced."""
    for suffix in (*_COMPANIONS, ""):  # the database last: without it, its companions mean nothing
        file = settings.STATE_DIR / f"{name}{suffix}"
        if file.exists():
            kept.mkdir(mode=0o700, parents=True, exist_ok=True)
            file.rename(kept / file.name)


@contextmanager
def _private_folder(parent: Path) -> Iterator[Path]:
    """Give a folder that only this user can read, and remove it if it is still there at the end."""
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=parent, ignore_cleanup_errors=True) as name:
        yield Path(name)


def _private(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.mode = 0o600
    return member


def _unpack(file: Path, unpacked: Path) -> None:
    """Unpack a backup, or a plain copy of a database; raise BackupUnusable if the file is neither."""
    try:
        with file.open("rb") as content:
            is_database = content.read(len(_SQLITE_HEADER)) == _SQLITE_HEADER
        if is_database:
            database.copy_file(file, unpacked / _DATABASE)
            return
        with tarfile.open(file, "r:gz") as archive:
            for member in archive:
                if member.name not in _NAMES or not member.isfile():
                    raise BackupUnusable(f"{file} is no backup: it holds {member.name!a}")
                _extract(archive, member, unpacked / member.name)
    except _UNREADABLE as problem:
        raise BackupUnusable(f"{file} can't be read as a backup: {problem}") from problem


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    content = archive.extractfile(member)
    assert content is not None, "it is a file"  # noqa: S101
    with target.open("wb") as file:
        shutil.copyfileobj(content, file)
    target.chmod(0o600)


def _check(file: Path, copy: Path) -> None:
    """Raise BackupUnusable if the database of a backup is missing, damaged, or of a later version."""
    if not copy.exists():
        raise BackupUnusable(f"{file} is no backup: it holds no database")
    if damage := database.damage_of(copy):
        raise BackupUnusable(f"{file} can't be restored, its database is damaged: {damage}")
    if later := database.later_version_of(copy):
        raise BackupUnusable(f"{file} can't be restored: its database {later}")
