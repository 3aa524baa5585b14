"""What goes wrong between a hub and its hosts, with a sentence for clients."""

from collections.abc import Sequence

from daemon_programs.exceptions import DaemonError
from daemon_programs.text import printable

_SHOWN = 5  # hosts in a sentence


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


class InviterNotPermitted(DaemonError):
    """The user that has made a one-time code may not do any more what it is for."""

    code = "permission_denied"


class NoHostMatches(DaemonError):
    """No host has the names and labels that were asked for."""

    code = "not_found"

    def __init__(self) -> None:
        super().__init__("No host matches")


class NoCurrentHost(DaemonError):
    """There are such hosts, but of none of them is known how it is now."""

    code = "no_current_host"

    def __init__(self, names: Sequence[str]) -> None:
        shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
        super().__init__(f"No host that matches is current: {shown}")
