"""Cursors: positions in a log that survive rotation. To clients they are opaque strings."""

import re
import zlib
from dataclasses import dataclass

SEEN_BYTES = 64  # the bytes before a position that identify it
_TEXT = re.compile("([0-9a-f]{1,16})-([0-9a-f]{1,8})-([0-9a-f]{1,16})-([0-9a-f]{1,8})")


@dataclass(frozen=True, slots=True)
class Cursor:
    """The position after a line: the file, the offset in it, and a checksum of the bytes before.

    File systems reuse inodes. The generation tells two files of one inode apart where the file system
    counts them, and elsewhere ``seen`` does, the checksum of up to SEEN_BYTES bytes before the offset.
    """

    inode: int
    generation: int
    offset: int
    seen: int

    def __str__(self) -> str:
        return f"{self.inode:x}-{self.generation:x}-{self.offset:x}-{self.seen:x}"

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Return the cursor of a string; raise ValueError if it isn't one."""
        match = _TEXT.fullmatch(text)
        if match is None:
            raise ValueError("no cursor")
        return cls(*(int(number, 16) for number in match.groups()))


# The position before the first byte of a log that did not exist yet.
BEGINNING = Cursor(0, 0, 0, 0)

checksum = zlib.crc32
