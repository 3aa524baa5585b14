"""The names of the accounts that the form of a program suggests as its user."""

import os
import pwd
from pathlib import Path

from django.conf import settings

MOST_NAMES = 200
_WITHOUT_LOGIN = ("nologin", "false", "sync", "shutdown", "halt")


def account_names() -> list[str]:
    """Return the names of accounts that programs may run as, sorted.

    These are the ones that DAEMON_ALLOWED_USERS names; otherwise those that can log in or that own a process.
    Without root only the daemon's own account can be used.
    """
    if settings.ALLOWED_USERS:
        return sorted(settings.ALLOWED_USERS)[:MOST_NAMES]
    if os.geteuid() != 0:
        return [pwd.getpwuid(os.geteuid()).pw_name]
    owners = _owners_of_processes()
    names = {
        account.pw_name
        for account in pwd.getpwall()
        if account.pw_uid in owners or _can_log_in(account.pw_shell)
    }
    return sorted(names)[:MOST_NAMES]


def _can_log_in(shell: str) -> bool:
    return Path(shell).name not in _WITHOUT_LOGIN


def _owners_of_processes() -> set[int]:
    found = set()
    with os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdecimal():
                try:
                    found.add(entry.stat().st_uid)
                except FileNotFoundError:  # it has ended meanwhile
                    continue
    return found
