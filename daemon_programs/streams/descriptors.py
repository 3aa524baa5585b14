"""The limit of open files of this process."""

import os
import resource


def raise_limit(wanted: int) -> int:
    """Raise the limit to ``wanted``, as far as the system allows, and return the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return max(soft, most)


def are_scarce(reserved: int) -> bool:
    """Return whether fewer than ``reserved`` files can be opened yet; of a low limit, fewer than half."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return False
    return limit - len(os.listdir("/proc/self/fd")) < min(reserved, limit // 2)
