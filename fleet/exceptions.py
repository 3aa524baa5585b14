"""What goes wrong between a hub and its hosts."""


class HostProblem(Exception):
    """A sentence about a host, fit to be shown."""


class HostUnreachable(HostProblem):
    """The host did not answer: whether a request has arrived is not known."""


class NoConnection(HostUnreachable):
    """No connection came about, so nothing has arrived."""


class TokenUnreadable(HostProblem):
    """The token of a host can't be decrypted: the key is missing, or another one."""
