"""Replace files atomically, since other processes read them."""

import os
from pathlib import Path


def replace_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Write a file with mode 0600. Readers see either the old text or the new one, even after a crash.

    ``durable`` waits for the disk; not needed for files that are rewritten at the next start anyway.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.unlink(missing_ok=True)
        # O_EXCL: in a folder that other users may write, the name may have become a link of theirs.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
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
        file.unlink()


def sync_folder(folder: Path) -> None:
    """Wait until created, renamed and deleted names of a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
