"""The samples as one file: written as a whole, and read at the next start if it is intact and recent."""

import sys
import zlib
from collections.abc import Iterable
from pathlib import Path

import orjson

from daemon_programs.files import replace_with
from daemon_programs.programs.observed.samples.rings import Series, Stored

_MAX_AGE_SECONDS = 86400.0
_TOLERANCE_SECONDS = 60.0  # a clock may be corrected by some seconds
# Figures are stored as this machine has them in memory.
_MAGIC = f"daemon samples 1 {sys.byteorder}\n".encode()
_CHECKSUM_BYTES = 4

# A name, and the rings of its hour and of its day.
Entry = tuple[str, Stored, Stored]


class Unreadable(Exception):
    """Raised for a file without samples that are of use; it says why."""


def write(file: Path, at: float, entries: Iterable[Entry]) -> None:
    """Write series as of a time in seconds since the epoch."""
    packer = zlib.compressobj(1)
    checksum = 0
    with replace_with(file, durable=False) as target:

        def add(data: bytes) -> None:
            nonlocal checksum
            checksum = zlib.crc32(data, checksum)
            target.write(data)

        add(_MAGIC)
        add(packer.compress(b"%r\n" % at))
        for name, *rings in entries:
            head = [name, *((ring.end, len(ring.cpu)) for ring in rings)]
            add(packer.compress(orjson.dumps(head) + b"\n"))
            for ring in rings:
                add(packer.compress(ring.cpu + ring.memory))
        add(packer.flush())
        target.write(checksum.to_bytes(_CHECKSUM_BYTES, "big"))


def read(file: Path, now: float) -> dict[str, Series]:
    """Return the series of a file by name; raise Unreadable if it has none that are of use."""
    try:
        content = file.read_bytes()
        body, checksum = content[:-_CHECKSUM_BYTES], content[-_CHECKSUM_BYTES:]
        if not body.startswith(_MAGIC) or zlib.crc32(body).to_bytes(_CHECKSUM_BYTES, "big") != checksum:
            raise Unreadable("the file is damaged, or of another version")
        return _series(zlib.decompress(body[len(_MAGIC) :]), now)
    except (OSError, zlib.error, ValueError, TypeError) as problem:
        raise Unreadable(str(problem)) from problem


def _series(data: bytes, now: float) -> dict[str, Series]:
    position = 0

    def take(size: int) -> bytes:
        nonlocal position
        position += size
        return data[position - size : position]

    def line() -> bytes:
        return take(data.index(b"\n", position) + 1 - position)

    if not -_TOLERANCE_SECONDS <= now - float(line()) <= _MAX_AGE_SECONDS:
        raise Unreadable("the file is older than a day, or the clock was set back")
    found = {}
    while position < len(data):
        name, *rings = orjson.loads(line())
        hour, day = (Stored(end, take(size), take(size)) for end, size in rings)
        found[name] = Series(hour, day)
    return found
