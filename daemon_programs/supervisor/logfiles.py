"""Log files, opened so that nobody gets the stack to write, empty, rename or read what isn't theirs.

A stack that runs as root opens logs where others may write: in a home, in ``/tmp``. So the way to a
log is walked folder by folder, on descriptors. As far as nobody but root and the stack's own user can
have changed it, links are followed. From the first folder on that somebody else may write, a link is
refused, and a file that is there already must be the program's user's, and have no other name.

Used by the plugin, which writes logs, and by the API, which reads them; plain functions without Django.
"""

import contextlib
import errno
import os
import pwd
import stat
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Not blocking: a log may be a FIFO that nobody reads, or that nobody writes.
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_MOST_LINKS = 40  # as the kernel has it
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class LogRefused(OSError):
    """Why a log is not opened, as a sentence without its full stop."""


class Access(NamedTuple):
    """Whose a log is, and where it may be."""

    uid: int  # the program's user's
    gid: int
    logs: str | None = None  # the stack's own folder of logs, for those that programs don't name
    roots: tuple[str, ...] = ()  # where the others must be; anywhere if there are none


class Place(NamedTuple):
    """Where a log is: a folder, as a descriptor, and a name in it."""

    path: str
    folder: int
    name: str
    ours: bool  # nobody but root and the stack's user can have changed the way
    default: bool  # in the stack's own folder of logs, and nobody else's
    is_descriptor: bool  # one of /proc, as /dev/stdout leads to
    access: Access


@contextlib.contextmanager
def located(path: str, access: Access, *, make: bool = False) -> Iterator[Place]:
    """The place of a log, once every folder on the way to it is reached, or made.

    Raises LogRefused, and OSError for what is not there or not allowed.
    """
    default = access.logs is not None and lies_below(path, access.logs)
    start = str(access.logs) if default else "/"
    waiting = _parts(path.removeprefix(start))
    folder = os.open(start, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    ours, links, is_descriptor = True, 0, False
    try:
        while True:
            name = waiting.pop(0)
            ours = ours and _is_ours(os.fstat(folder))
            target = _link(folder, name)
            if target is None and not waiting:
                break
            if target is None:
                folder = _enter(folder, name, access if make else None, ours)
                continue
            if not ours:
                raise LogRefused(f"{path} leads through a link that somebody else can have made")
            if not waiting and path_of(folder).startswith("/proc/"):
                is_descriptor = True
                break
            links += 1
            if links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            waiting = _parts(target) + waiting
            if target.startswith("/"):
                folder = _enter(folder, "/")
        if access.roots and not default:
            _check_roots(path, path_of(folder), access.roots)
        yield Place(path, folder, name, ours, default and ours, is_descriptor, access)
    finally:
        os.close(folder)


def open_to_write(place: Place) -> int:
    """Open a log to append to it, or make it: 0600, the program's user's."""
    uid, gid = place.access.uid, place.access.gid
    flags = os.O_WRONLY | os.O_APPEND | (_FILE & ~os.O_NOFOLLOW if place.is_descriptor else _FILE)
    made = False
    try:
        log = os.open(place.name, flags, dir_fd=place.folder)
    except FileNotFoundError:
        log = os.open(place.name, flags | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=place.folder)
        made = True
    try:
        status = os.fstat(log)
        if not made and not place.default:
            _check(place, status)
        elif status.st_uid != uid and stat.S_ISREG(status.st_mode):
            with contextlib.suppress(PermissionError):  # of a file system that knows no owners
                os.fchown(log, uid, gid)
    except BaseException:
        os.close(log)
        raise
    return log


def open_to_read(place: Place) -> int | None:
    """Open a log to read it; None if it is no file that can be read back."""
    if place.is_descriptor:
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
    """Rename a log in its folder; in one that others may write, only what is the program's user's."""
    if _exists(place, old):
        _exists(place, new)
        os.rename(old, new, src_dir_fd=place.folder, dst_dir_fd=place.folder)


def remove(place: Place) -> None:
    """Remove a log; as with ``rename``."""
    if _exists(place, place.name):
        os.unlink(place.name, dir_fd=place.folder)


def is_below(path: str, root: str) -> bool:
    """Whether a path is a root folder, or lies under it, once links and dots are resolved."""
    return lies_below(os.path.realpath(path) + "/", os.path.realpath(root))


def lies_below(path: str, root: str) -> bool:
    """Whether a path lies under a folder, by their names alone."""
    return path.startswith(root.rstrip("/") + "/") and ".." not in path.split("/")


def path_of(descriptor: int) -> str:
    """Where a descriptor really is, whatever way has led there."""
    return os.readlink(f"/proc/self/fd/{descriptor}")


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")] or ["."]


def _is_ours(status: os.stat_result) -> bool:
    return status.st_uid in (0, os.geteuid()) and not status.st_mode & _WRITABLE_BY_OTHERS


def _link(folder: int, name: str) -> str | None:
    """What a link points to; None if it is none, or not there."""
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError as problem:
        if problem.errno in (errno.EINVAL, errno.ENOENT):
            return None
        raise


def _enter(folder: int, name: str, make_for: Access | None = None, ours: bool = True) -> int:
    """Go one folder on; the one before is closed."""
    try:
        entered = os.open(name, _FOLDER, dir_fd=folder)
    except FileNotFoundError:
        if make_for is None:
            raise
        entered = _make(folder, name, None if ours else make_for)
    os.close(folder)
    return entered


def _make(folder: int, name: str, owner: Access | None) -> int:
    """Make a folder, as open as the one that it is in but for writing.

    In a folder of ours it stays ours: nobody can plant anything in it.
    """
    mode = os.fstat(folder).st_mode & 0o755
    with _acting_as(owner):
        os.mkdir(name, 0o700, dir_fd=folder)
    made = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        _check_whose(made, name, owner)
        os.fchmod(made, mode)
    except BaseException:
        os.close(made)
        raise
    return made


def _check_whose(made: int, name: str, owner: Access | None) -> None:
    """Others may have put another folder in its place, which is nobody's to open."""
    if owner is not None and os.fstat(made).st_uid != owner.uid:
        raise LogRefused(f"{name} is somebody else's by now")


@contextlib.contextmanager
def _acting_as(owner: Access | None) -> Iterator[None]:
    """With the rights of a program's user: what is made is theirs, and nobody's has to be given to them."""
    if owner is None or os.geteuid() != 0 or owner.uid == 0:
        yield
        return
    gid, groups = os.getegid(), os.getgroups()
    os.setgroups(_groups_of(owner))
    try:
        os.setegid(owner.gid)
        os.seteuid(owner.uid)
        yield
    finally:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)


def _groups_of(owner: Access) -> list[int]:
    try:
        return os.getgrouplist(pwd.getpwuid(owner.uid).pw_name, owner.gid)
    except KeyError:  # the user has vanished while the program runs on
        return [owner.gid]


def _exists(place: Place, name: str) -> bool:
    """Whether there is a file of that name; LogRefused if it may be somebody else's."""
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
    """Raise LogRefused for a file that is there and may be somebody else's."""
    if place.ours:
        return
    if status.st_uid != place.access.uid:
        raise LogRefused(f"{place.path} belongs to somebody else than the program's user")
    if stat.S_ISREG(status.st_mode) and status.st_nlink != 1:
        raise LogRefused(f"{place.path} has another name beside this one")
