"""What a user may see of the file system, judged by the stack, which as root sees all of it.

Used by the plugin and by the API. Does not import Django.
"""

import os
import pwd
import stat

_MOST_LINKS = 40  # the kernel's limit


def may_look_up(account: pwd.struct_passwd, path: str) -> bool:
    """Return whether a user may learn if a path exists: whether they may enter each folder on the way to it.

    Links are followed one by one, since the way to their target may lead through closed folders. Access
    control lists are not considered: a folder that only a list opens counts as closed.
    """
    if account.pw_uid in (0, os.geteuid()):
        return True
    groups = set(os.getgrouplist(account.pw_name, account.pw_gid))
    folder, links = "/", 0
    remaining = path.split("/")[::-1]
    while remaining:
        if not os.path.isdir(folder):
            return True  # nothing can be below it, which its own folder tells
        if not _may_enter(account.pw_uid, groups, os.stat(folder)):
            return False
        name = remaining.pop()
        target = _link(os.path.join(folder, name))
        if target is None:
            folder = os.path.normpath(os.path.join(folder, name))
            continue
        links += 1
        if links > _MOST_LINKS:
            return False
        remaining += target.split("/")[::-1]
        folder = "/" if target.startswith("/") else folder
    return True


def _may_enter(uid: int, groups: set[int], status: os.stat_result) -> bool:
    if status.st_uid == uid:
        return bool(status.st_mode & stat.S_IXUSR)
    return bool(status.st_mode & (stat.S_IXGRP if status.st_gid in groups else stat.S_IXOTH))


def _link(path: str) -> str | None:
    """Return the target of a link; None for anything else."""
    try:
        return os.readlink(path)
    except OSError:
        return None
