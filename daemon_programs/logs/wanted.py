"""Which lines of logs are wanted: by their times, and by a text in them."""

import re
from datetime import datetime
from typing import NamedTuple

from daemon_programs.timestamps import milliseconds

# As `supervisor.plugin.io.timestamps` writes it. Times of this form are in order as texts too.
_STAMP = re.compile(
    r"([0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z) "
)
_STAMP_LENGTH = len("2026-11-26T18:03:05.123Z ")


def split_time(line: str) -> tuple[str | None, str]:
    """Return the time at the beginning of a line, None if it has none, and the rest."""
    stamp = _STAMP.match(line)
    return (None, line) if stamp is None else (stamp[1], line[_STAMP_LENGTH:])


class Wanted(NamedTuple):
    """What lines must be like. The times are inclusive, to the millisecond."""

    since: str = ""
    until: str = "~"  # after any time
    text: str = ""
    ignores_case: bool = False

    @classmethod
    def of(
        cls,
        since: datetime | None = None,
        until: datetime | None = None,
        grep: str = "",
        ignore_case: bool = False,
    ) -> "Wanted":
        """Return what the values of a query ask for."""
        return cls(
            milliseconds(since) if since else "",
            milliseconds(until) if until else "~",
            grep.casefold() if ignore_case else grep,
            ignore_case,
        )

    def has_text(self, line: str) -> bool:
        """Return whether a line has the text. It is plain: patterns of others could take forever."""
        return not self.text or self.text in (line.casefold() if self.ignores_case else line)

    def has_time(self, time: str) -> bool:
        """Return whether a line of this time is wanted."""
        return self.since <= time <= self.until
