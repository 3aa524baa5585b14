"""Check whether a program is ready: its ``ready_port`` accepts connections."""

import socket

_TIMEOUT_SECONDS = 0.2
# From 127.0.0.1 the kernel may choose the probed port as the source, so that the probe connects to itself.
_SOURCE = ("127.0.0.2", 0)


def accepts(port: int) -> bool:
    """Return whether 127.0.0.1 accepts a connection on the port."""
    try:
        socket.create_connection(("127.0.0.1", port), _TIMEOUT_SECONDS, _SOURCE).close()
    except OSError:
        return False
    return True
