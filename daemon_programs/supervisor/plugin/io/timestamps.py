"""The time at the beginning of each line of a log."""

import time


class LineStamper:
    """Puts the time before each line of a stream that arrives in pieces.

    A line has the time at which its first byte was read.
    """

    def __init__(self) -> None:
        self.is_within_line = False

    def stamp(self, data: bytes) -> bytes:
        """Return a piece, which is not empty, with the time where lines begin."""
        prefix = _prefix(time.time())
        first = b"" if self.is_within_line else prefix
        self.is_within_line = not data.endswith(b"\n")
        last = b"" if self.is_within_line else b"\n"
        return first + data.removesuffix(b"\n").replace(b"\n", b"\n" + prefix) + last


def _prefix(now: float) -> bytes:
    """Return the time in UTC as in ``2026-11-26T18:03:05.123Z``, with the blank that follows it."""
    seconds, milliseconds = divmod(int(now * 1000), 1000)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{text}.{milliseconds:03}Z ".encode()
