"""Write to the standard input of programs, and never wait for them to read.

What the pipe can't take is kept here, up to a limit, until the program reads.
"""

import os
from typing import Any

from supervisor.dispatchers import PDispatcher

from daemon_programs.supervisor.states import InputRefusal

_MOST_BYTES_WAITING = 256 * 1024


class ProgramInput(PDispatcher):
    """The standard input of one run, as a pipe."""

    def __init__(self, process: Any, descriptor: int) -> None:
        super().__init__(process, "stdin", descriptor)
        self._waiting = bytearray()
        self._takes_no_more = False

    def add(self, data: bytes, *, close: bool) -> InputRefusal | None:
        """Write all of the data in order, now or later, or return why none of it is.

        ``close`` gives the program the end of file after it.
        """
        if self._takes_no_more or not self._write():
            return "closed"
        if len(self._waiting) + len(data) > _MOST_BYTES_WAITING:
            return "full"
        self._waiting += data
        if not self._write():
            return "closed"
        self._takes_no_more = close
        return None

    def _write(self) -> bool:
        """Write what the pipe can take; return whether the program still has the other end open."""
        try:
            while self._waiting:
                del self._waiting[: os.write(self.fd, self._waiting)]
        except BlockingIOError:
            return True
        except OSError:
            self._waiting.clear()
            self._takes_no_more = True
            return False
        return True

    @property
    def is_settled(self) -> bool:
        """Whether nothing waits, and the pipe stays open."""
        return not (self._waiting or self._takes_no_more)

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        """Return whether something waits. Called in each turn until it is settled; closes the pipe.

        Each turn tries to write: supervisord does not look at the error that poll reports for a full pipe
        that nobody will read any more, and would never sleep again.
        """
        if self.closed:
            return False
        self._write()
        if self._takes_no_more and not self._waiting:
            # Here only: within a turn the number of a closed descriptor could be taken for a new one's.
            self.process.close_input()
        return bool(self._waiting)

    def handle_write_event(self) -> None:
        """Write what the pipe can take."""
        self._write()
