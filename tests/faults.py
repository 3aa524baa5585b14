"""Faults that tests provoke."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.stack import Stack


@contextmanager
def no_configuration_folder(stack: Stack) -> Iterator[None]:
    """Put a file where the folder of the programs' configuration has to be."""
    folder = stack.folder / "conf.d"
    away = folder.rename(folder.with_name("conf.d-away"))
    folder.touch()
    try:
        yield
    finally:
        folder.unlink()
        away.rename(folder)
