"""Whether a program serves: its ``ready_port`` accepts connections."""

import socket

_PATIENCE_SECONDS = 0.2
# From 127.0.0.1 itself a probe would one day be given the very port that it asks for, and reach itself.
_SOURCE = ("127.0.0.2", 0)


def accepts(port: int) -> bool:
    """Whether somebody on 127.0.0.1 takes a connection on the port."""
    try:
        socket.create_connection(("127.0.0.1", port), _PATIENCE_SECONDS, _SOURCE).close()
    except OSError:
        return False
    return True
