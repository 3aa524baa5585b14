"""The limit of open files of this process."""

import os
import resource
import sys


def raise_limit(wanted: int) -> None:
    """Raise the limit to ``wanted``, as far as the system allows."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if limit() < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def limit() -> int:
    """Return the limit; a large number if there is none."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def are_scarce(reserved: int) -> bool:
    """Return whether fewer than ``reserved`` files can be opened yet; of a low limit, fewer than half."""
    return limit() - len(os.listdir("/proc/self/fd")) < min(reserved, limit() // 2)
