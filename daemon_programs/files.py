"""Replace files atomically, since other processes read them."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def replace_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Write a file with mode 0600. Readers see either the old text or the new one, even after a crash.

    ``durable`` waits for the disk; not needed for files that are rewritten at the next start anyway.
    """
    with replace_with(path, durable=durable) as file:
        file.write(text.encode())


@contextmanager
def replace_with(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """Give an open file that takes the place of ``path`` at the end of the block, unless that fails."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.unlink(missing_ok=True)
        # O_EXCL: in a folder that other users may write, the name may have become a link of theirs.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of killed writers. Only safe while there are no writers."""
    for file in folder.glob(".*.tmp"):
        remove(file)


def remove(path: Path) -> None:
    """Remove a file, or a folder that stands in its place; do nothing if there is neither."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sync_files(folder: Path) -> None:
    """Wait until the files of a folder, and their names, are on the disk."""
    for file in folder.iterdir():
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Wait until created, renamed and deleted names of a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
