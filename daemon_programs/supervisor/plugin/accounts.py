"""The system users that programs run as, and what is theirs."""

import pwd
from typing import Any

from supervisor.options import NoPermission

from daemon_programs.supervisor.filesystem import logfiles


def account_of(config: Any) -> pwd.struct_passwd:
    """Return the user that the program runs as.

    Raise ProcessException if the user does not exist, or if programs may not run as this user. Both may
    have changed since the program was saved.
    """
    if config.context.limits.users and config.user not in config.context.limits.users:
        raise NoPermission(f'programs may not run as the user "{config.user}" (DAEMON_ALLOWED_USERS)')
    try:
        return pwd.getpwnam(config.user)
    except KeyError:
        raise NoPermission(f'User "{config.user}" does not exist on the system') from None


def log_access(config: Any) -> logfiles.Access:
    """Return the user that the logs belong to, and the folders that they may be in."""
    account = account_of(config)
    limits = config.context.limits
    return logfiles.Access(account.pw_uid, account.pw_gid, limits.logs, limits.log_roots)
