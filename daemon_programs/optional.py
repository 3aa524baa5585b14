"""Import a package without others that it loads wherever they are installed, for what is not needed here."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import cast


@contextmanager
def without(*packages: str) -> Iterator[None]:
    """Let the import of packages fail as if they were missing, unless they are loaded already."""
    hidden = [package for package in packages if package not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden, cast("ModuleType", None)))
    try:
        yield
    finally:
        for package in hidden:
            del sys.modules[package]
