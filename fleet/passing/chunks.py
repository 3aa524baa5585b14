"""Join a body that is sent in chunks (RFC 9112, section 7.1), as it arrives bit by bit."""

_MOST_SIZE_LINE = 1024  # bytes


class Chunks:
    """The chunks of a body."""

    def __init__(self) -> None:
        self.is_over = False
        self._received = bytearray()
        self._left = 0  # bytes of the present chunk

    def joined(self, data: bytes) -> bytes:
        """Return what more of the body is in ``data``; raise ValueError if it isn't chunks."""
        self._received += data
        body = bytearray()
        while self._received and not self.is_over:
            if self._left:
                piece = self._received[: self._left]
                body += piece
                self._left -= len(piece)
                del self._received[: len(piece)]
                continue
            line, end, rest = self._received.partition(b"\n")
            if len(line) > _MOST_SIZE_LINE:
                raise ValueError("no chunk has such a size")
            if not end:
                break
            self._received = rest
            if size := line.partition(b";")[0].strip():  # empty: the end of the chunk before
                self._left = int(size, 16)
                self.is_over = self._left == 0
                if self._left < 0:
                    raise ValueError("no chunk has such a size")
        return bytes(body)
