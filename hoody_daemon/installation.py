"""Tell a clone, which keeps its state beside its code, from an installed package, whose folder is pip's."""

import contextlib
import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent  # of an installed package: site-packages
_OF_A_CLONE = ("manage.py", "pyproject.toml")


def is_clone() -> bool:
    """Return whether the code is a clone, or a copy of one."""
    return all((PROJECT / name).is_file() for name in _OF_A_CLONE)


def command() -> str:
    """Return what people type to run a management command."""
    return "manage.py" if is_clone() else "hoody-daemon"


def fixtures() -> Path:
    """Return the folder of the files that a first start loads; the wheel has it inside this package."""
    return PROJECT / "fixtures" if is_clone() else Path(__file__).with_name("fixtures")


def default_state_folder() -> Path:
    """Return the state folder that is used unless DAEMON_STATE_DIR names another.

    Without a home it is that of root: the start then says that this user can't create it.
    """
    if is_clone():
        return PROJECT / "var"
    if os.geteuid() != 0:
        if (given := Path(os.environ.get("XDG_STATE_HOME", ""))).is_absolute():
            return given / "hoody-daemon"
        with contextlib.suppress(RuntimeError):
            return Path.home() / ".local" / "state" / "hoody-daemon"
    return Path("/var/lib/hoody-daemon")
