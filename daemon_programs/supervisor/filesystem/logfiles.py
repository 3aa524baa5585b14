"""Open log files so that no user can make the stack read, write, empty or rename another user's file.

A stack that runs as root opens logs in folders where others may write, such as a home or ``/tmp``. So the
path is resolved folder by folder, on descriptors. It is *trusted* as long as only root and the stack's own
user can have changed it; up to there, links are followed. From the first folder on that another user may
write, a link is refused, and an existing file must belong to the program's user and have one name only.

Used by the plugin, which writes logs, and by the API, which reads them. Does not import Django.
"""

import contextlib
import errno
import os
import pwd
import stat
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Non-blocking: a log may be a FIFO without a reader or a writer.
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_MOST_LINKS = 40  # the kernel's limit
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class LogRefused(OSError):
    """A log may not be opened. The message is the reason, as a sentence without its full stop."""


class LogUnopened(OSError):
    """A log can't be opened. The file name is the log's path, as it was configured."""


class Access(NamedTuple):
    """The user that a log belongs to, and the folders that it may be in."""

    uid: int  # of the program's user
    gid: int
    logs: str | None = None  # the stack's own folder of logs, for logs without a configured path
    roots: tuple[str, ...] = ()  # the folders that other logs may be in; empty for any


class Place(NamedTuple):
    """The resolved place of a log: the descriptor of its folder, and its name in it."""

    path: str
    folder: int
    name: str
    trusted: bool  # only root and the stack's user can have changed the path
    default: bool  # trusted, and in the stack's own folder of logs
    is_descriptor: bool  # a descriptor in /proc, where /dev/stdout leads
    access: Access


@contextlib.contextmanager
def located(path: str, access: Access, *, make: bool = False) -> Iterator[Place]:
    """Resolve the path of a log and yield its place; with ``make``, create missing folders.

    Raise LogRefused for a path that may not be used, and OSError for one that does not exist or is not
    accessible.
    """
    default = access.logs is not None and lies_below(path, access.logs)
    start = str(access.logs) if default else "/"
    remaining = _parts(path.removeprefix(start))
    folder = os.open(start, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    trusted, links, is_descriptor = True, 0, False
    try:
        while True:
            name = remaining.pop(0)
            trusted = trusted and _is_trusted(os.fstat(folder))
            target = _link(folder, name)
            if target is None and not remaining:
                break
            if target is None:
                folder = _enter(folder, name, access if make else None, trusted)
                continue
            if not trusted:
                raise LogRefused(f"{path} leads through a link that another user can have made")
            if not remaining and path_of(folder).startswith("/proc/"):
                is_descriptor = True
                break
            links += 1
            if links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            remaining = _parts(target) + remaining
            if target.startswith("/"):
                folder = _enter(folder, "/")
        if access.roots and not default:
            _check_roots(path, path_of(folder), access.roots)
        yield Place(path, folder, name, trusted, default and trusted, is_descriptor, access)
    finally:
        os.close(folder)


def open_to_write(place: Place) -> int:
    """Return a descriptor to append to a log. A new file belongs to the program's user, mode 0600."""
    uid, gid = place.access.uid, place.access.gid
    flags = os.O_WRONLY | os.O_APPEND | (_FILE & ~os.O_NOFOLLOW if place.is_descriptor else _FILE)
    created = False
    try:
        log = os.open(place.name, flags, dir_fd=place.folder)
    except FileNotFoundError:
        log = os.open(place.name, flags | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=place.folder)
        created = True
    try:
        status = os.fstat(log)
        if not created and not place.default:
            _check(place, status)
        elif status.st_uid != uid and stat.S_ISREG(status.st_mode):
            with contextlib.suppress(PermissionError):  # on a file system without file ownership
                os.fchown(log, uid, gid)
    except BaseException:
        os.close(log)
        raise
    return log


def open_to_read(place: Place) -> int | None:
    """Return a descriptor to read a log; None if it is not a regular file.

    Nothing else is even opened: that alone has an effect on some devices.
    """
    if place.is_descriptor or not _is_regular(place):
        return None
    log = os.open(place.name, os.O_RDONLY | _FILE, dir_fd=place.folder)
    try:
        status = os.fstat(log)
        if stat.S_ISREG(status.st_mode):
            _check(place, status)
            return log
    except BaseException:
        os.close(log)
        raise
    os.close(log)
    return None


def rename(place: Place, old: str, new: str) -> None:
    """Rename a log within its folder, if it exists.

    Raise LogRefused if one of the names may be another user's file.
    """
    if _exists(place, old):
        _exists(place, new)
        os.rename(old, new, src_dir_fd=place.folder, dst_dir_fd=place.folder)


def remove(place: Place) -> None:
    """Remove a log, if it exists and is a regular file. Raise LogRefused if it may be another user's."""
    if _exists(place, place.name) and not place.is_descriptor and _is_regular(place):
        os.unlink(place.name, dir_fd=place.folder)


def is_below(path: str, root: str) -> bool:
    """Return whether a path is a root folder or lies below it, with links and dots resolved."""
    return lies_below(os.path.realpath(path) + "/", os.path.realpath(root))


def lies_below(path: str, root: str) -> bool:
    """Return whether a path lies below a folder, by comparing the names only."""
    return path.startswith(root.rstrip("/") + "/") and ".." not in path.split("/")


def path_of(descriptor: int) -> str:
    """Return the path of an open descriptor, with all links resolved."""
    return os.readlink(f"/proc/self/fd/{descriptor}")


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")] or ["."]


def _is_trusted(status: os.stat_result) -> bool:
    """Return whether only root and the stack's user may change a folder."""
    return status.st_uid in (0, os.geteuid()) and not status.st_mode & _WRITABLE_BY_OTHERS


def _link(folder: int, name: str) -> str | None:
    """Return the target of a link; None if the name is not a link or does not exist."""
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError as problem:
        if problem.errno in (errno.EINVAL, errno.ENOENT):
            return None
        raise


def _enter(folder: int, name: str, make_for: Access | None = None, trusted: bool = True) -> int:
    """Open a subfolder and close its parent; with ``make_for``, create it if it does not exist."""
    try:
        entered = os.open(name, _FOLDER, dir_fd=folder)
    except FileNotFoundError:
        if make_for is None:
            raise
        entered = _make(folder, name, None if trusted else make_for)
    os.close(folder)
    return entered


def _make(folder: int, name: str, access: Access | None) -> int:
    """Create a folder with its parent's mode, but writable only for its user, and return a descriptor.

    ``access`` is None below a trusted folder: the new one then belongs to the stack's user, so that no
    other user can put anything into it.
    """
    mode = os.fstat(folder).st_mode & 0o755
    with _acting_as(access):
        os.mkdir(name, 0o700, dir_fd=folder)
    made = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        _check_user(made, name, access)
        os.fchmod(made, mode)
    except BaseException:
        os.close(made)
        raise
    return made


def _check_user(made: int, name: str, access: Access | None) -> None:
    """Raise LogRefused if the created folder has been replaced by another user's before it was opened."""
    if access is not None and os.fstat(made).st_uid != access.uid:
        raise LogRefused(f"{name} is another user's by now")


@contextlib.contextmanager
def _acting_as(access: Access | None) -> Iterator[None]:
    """Act with the rights of a program's user, so that what is created belongs to it from the beginning."""
    if access is None or os.geteuid() != 0 or access.uid == 0:
        yield
        return
    gid, groups = os.getegid(), os.getgroups()
    os.setgroups(_groups_of(access))
    try:
        os.setegid(access.gid)
        os.seteuid(access.uid)
        yield
    finally:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)


def _groups_of(access: Access) -> list[int]:
    try:
        return os.getgrouplist(pwd.getpwuid(access.uid).pw_name, access.gid)
    except KeyError:  # the user was deleted while its program runs
        return [access.gid]


def _is_regular(place: Place) -> bool:
    return stat.S_ISREG(os.stat(place.name, dir_fd=place.folder, follow_symlinks=False).st_mode)


def _exists(place: Place, name: str) -> bool:
    """Return whether a file of that name exists. Raise LogRefused if it may be another user's."""
    try:
        status = os.stat(name, dir_fd=place.folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    _check(place, status)
    return True


def _check_roots(path: str, folder: str, roots: Sequence[str]) -> None:
    if not any(lies_below(folder + "/", os.path.realpath(root)) for root in roots):
        raise LogRefused(f"{path} lies outside of the folders that logs may be in")


def _check(place: Place, status: os.stat_result) -> None:
    """Raise LogRefused for an existing file that may be another user's."""
    if place.trusted:
        return
    if status.st_uid != place.access.uid:
        raise LogRefused(f"{place.path} belongs to another user than the program's")
    if stat.S_ISREG(status.st_mode) and status.st_nlink != 1:
        raise LogRefused(f"{place.path} has another name beside this one")
