"""The PATH that programs inherit from the stack, in which their commands are looked up.

Used by the plugin, which starts commands, and by the API, which checks them. Does not import Django.
"""

import os
import pwd


def inherited(user: str) -> str:
    """Return the stack's PATH as a program of ``user`` inherits it.

    Folders in the home of the stack's own user are left out for other users, who mostly may not enter it
    and should not run the commands in it.
    """
    path = os.environ.get("PATH") or os.defpath
    if _uid_of(user) in (None, os.geteuid()):
        return path
    home = os.path.realpath(_own_home())
    if home == "/":
        return path
    kept = [folder for folder in path.split(os.pathsep) if not _lies_in(folder, home)]
    return os.pathsep.join(kept) or os.defpath


def _lies_in(folder: str, home: str) -> bool:
    paths = (os.path.abspath(folder), os.path.realpath(folder))
    return any(os.path.commonpath([home, path]) == home for path in paths)


def _uid_of(user: str) -> int | None:
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return None


def _own_home() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_dir or "/"
    except KeyError:  # a container may run as a user without an account
        return "/"
