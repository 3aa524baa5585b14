"""A place in a log that is found again after the file has been rotated; to clients an opaque text."""

import re
import zlib
from dataclasses import dataclass

SEEN_BYTES = 64  # so many bytes before a place tell whether it is still the same
_TEXT = re.compile("([0-9a-f]{1,16})-([0-9a-f]{1,8})-([0-9a-f]{1,16})-([0-9a-f]{1,8})")


@dataclass(frozen=True, slots=True)
class Cursor:
    """Right behind a line: in which file, how far, and what comes before it.

    Inodes are used again. The generation tells their users apart where the file system counts them, and
    so does ``seen``, a checksum of the bytes before.
    """

    inode: int
    generation: int
    offset: int
    seen: int

    def __str__(self) -> str:
        return f"{self.inode:x}-{self.generation:x}-{self.offset:x}-{self.seen:x}"

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Raises ValueError for what is no cursor."""
        match = _TEXT.fullmatch(text)
        if match is None:
            raise ValueError("no cursor")
        return cls(*(int(number, 16) for number in match.groups()))


# Before the first byte of a log that did not exist yet.
BEGINNING = Cursor(0, 0, 0, 0)

checksum = zlib.crc32
