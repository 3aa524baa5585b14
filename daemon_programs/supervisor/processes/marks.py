"""Mark the processes of a program with a resource limit, which no descendant loses.

Each process that is started for a program gets a limit on message queues (RLIMIT_MSGQUEUE) that is lower
than supervisord's own by a number of its own. Descendants inherit it through fork, exec, setsid, a cleared
or overwritten environment and a change of user; without privilege they can't raise it again. The soft limit
is lower than the hard one by a number of this supervisord's, which tells its marks from those of others. Two
supervisords may draw the same: so each also begins with other numbers for its processes.

Processes without privilege can lower their limit to the mark of another program. So the numbers of
programs that run as root are the smallest: no other program can come down from a smaller number to one of
them. Between other programs, a mark counts only for processes of the program's own user (see `Claim`).

Does not import Django.
"""

import resource
import secrets
from collections.abc import Iterable
from typing import NamedTuple

_DEFAULT_BYTES = 819_200  # the kernel's default for a process, which "unlimited" counts as
_MOST_NUMBERS = 65_536
_FEWEST_NUMBERS = 256


class Mark(NamedTuple):
    """The limit that a process was marked with, in bytes."""

    soft: int
    hard: int


class Claim(NamedTuple):
    """The mark of a program's process, and the user that it was started as."""

    mark: Mark
    uid: int

    def covers(self, uid: int | None) -> bool:
        """Return whether a process of a user may carry this mark: root's programs may become any user."""
        return self.uid in (0, uid)


def read(pid: int) -> Mark | None:
    """Return the limit of a process; None if it has ended, or can't be read."""
    try:
        return Mark(*resource.prlimit(pid, resource.RLIMIT_MSGQUEUE))
    except PermissionError:  # a process of another user, and no privilege
        return _read_from_proc(pid)
    except OSError:
        return None


def _read_from_proc(pid: int) -> Mark | None:
    try:
        with open(f"/proc/{pid}/limits", "rb") as limits:
            line = next(line for line in limits if line.startswith(b"Max msgqueue size"))
    except (OSError, StopIteration):
        return None
    soft, hard = line.split()[3:5]
    return Mark(_to_bytes(soft), _to_bytes(hard))


def _to_bytes(text: bytes) -> int:
    return resource.RLIM_INFINITY if text == b"unlimited" else int(text)


def carry(mark: Mark) -> None:
    """Mark this process, and all that will descend from it."""
    resource.setrlimit(resource.RLIMIT_MSGQUEUE, mark)


class Marks:
    """The marks of one supervisord: each is in use until its process and all descendants have ended."""

    def __init__(self, hard: int | None = None) -> None:
        """Count down from ``hard``, by default from the limit that this process has."""
        if hard is None:
            _, hard = resource.getrlimit(resource.RLIMIT_MSGQUEUE)
        self._hard = _DEFAULT_BYTES if hard == resource.RLIM_INFINITY else min(hard, _DEFAULT_BYTES)
        self._numbers = min(_MOST_NUMBERS, self._hard // 4)
        self._stack = 1 + secrets.randbelow(max(self._numbers - 1, 1))
        self._used: set[int] = set()
        half = self._numbers // 2
        self._ranges = {True: range(1, half), False: range(half, self._numbers)}
        self._last = {is_root: _random(numbers) for is_root, numbers in self._ranges.items()}

    @property
    def are_usable(self) -> bool:
        """Whether supervisord's own limit leaves room for marks."""
        return self._numbers >= _FEWEST_NUMBERS

    def take(self, *, is_root: bool) -> Mark | None:
        """Return a mark that is not in use; None if there is none left."""
        numbers = self._ranges[is_root]
        for number in _from(numbers, self._last[is_root] + 1) if self.are_usable else ():
            if number not in self._used:
                self._used.add(number)
                self._last[is_root] = number
                hard = self._hard - number
                return Mark(hard - self._stack, hard)
        return None

    def release(self, mark: Mark) -> None:
        """Give back a mark: nothing carries it any more."""
        self._used.discard(self._hard - mark.hard)


def _random(numbers: range) -> int:
    return numbers.start + secrets.randbelow(max(len(numbers), 1))


def _from(numbers: range, first: int) -> Iterable[int]:
    """Return the numbers in a circle, beginning with ``first``."""
    first = first if first in numbers else numbers.start
    yield from range(first, numbers.stop)
    yield from range(numbers.start, first)
