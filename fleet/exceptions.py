"""What goes wrong between a hub and its hosts, with a sentence for clients."""

from daemon_programs.exceptions import DaemonError
from daemon_programs.text import printable


class HostNotFound(DaemonError):
    """No host has that name."""

    code = "not_found"

    def __init__(self, name: object) -> None:
        super().__init__(f"Host '{name}' not found")


class HostUnreachable(DaemonError):
    """The host did not answer: whether a request has arrived is not known."""

    code = "host_unreachable"


class NoConnection(HostUnreachable):
    """No connection came about, so nothing has arrived."""


class NotADaemon(HostUnreachable):
    """What answers at the URL of a host is not the API of a daemon."""


class TokenRefused(HostUnreachable):
    """The host does not accept the token that the hub has of it."""

    code = "host_token_refused"


class TokenUnreadable(DaemonError):
    """The token of a host can't be decrypted: the key is missing, or another one."""

    code = "host_token_unreadable"


class RolloutNotFound(DaemonError):
    """No roll-out has that id."""

    code = "not_found"

    def __init__(self, id: object) -> None:
        super().__init__(f"Roll-out {printable(str(id))} not found")
