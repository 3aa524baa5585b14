"""Whether a program serves: its ``ready_port`` accepts connections."""

import socket

_PATIENCE_SECONDS = 0.2


def accepts(port: int) -> bool:
    """Whether somebody on 127.0.0.1 takes a connection on the port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_SECONDS).close()
    except OSError:
        return False
    return True
