"""The last lines of a log, read in blocks from its end: the cost is that of the lines, not of the file."""

import os
import stat

_BLOCK_BYTES = 64 * 1024
# A program may write megabytes without a line break; an answer has an end all the same.
_MOST_BYTES = 16 * 1024 * 1024


def tail(path: str, lines: int) -> list[str]:
    """At most ``lines`` last lines; none if there is no such file yet, or it is no file to read back.

    Bytes that are no UTF-8 come back as U+FFFD (contract, section 3).
    """
    try:
        # Not blocking: it may be a FIFO that nobody writes.
        log = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return []
    try:
        content = _read_from_end(log, lines) if stat.S_ISREG(os.fstat(log).st_mode) else b""
    finally:
        os.close(log)
    parts = content.removesuffix(b"\n").split(b"\n") if content else []
    return [part.decode(errors="replace").removesuffix("\r") for part in parts[-lines:]]


def _read_from_end(descriptor: int, lines: int) -> bytes:
    position = os.fstat(descriptor).st_size
    blocks: list[bytes] = []
    breaks = read = 0
    # One break more than lines: that of the line before the first one wanted.
    while position > 0 and breaks <= lines and read < _MOST_BYTES:
        start = max(position - _BLOCK_BYTES, 0)
        block = os.pread(descriptor, position - start, start)
        blocks.append(block)
        breaks += block.count(b"\n")
        read += len(block)
        position = start
    return b"".join(reversed(blocks))
