"""A terminal for a program: a pseudo terminal in the place of the pipes.

What the program prints arrives at supervisord as one stream, standard error included, and without the
carriage returns that a screen would need.
"""

import errno
import fcntl
import os
import struct
import termios
from typing import Any

from supervisor import events
from supervisor.dispatchers import POutputDispatcher

_ROWS, _COLUMNS = 50, 200


class TerminalDispatcher(POutputDispatcher):
    """Reads the terminal's other end; when the last process has left it, that is an I/O error."""

    def handle_read_event(self) -> None:
        try:
            super().handle_read_event()
        except OSError as problem:
            if problem.errno != errno.EIO:
                raise
            self.close()


def make_dispatchers(process: Any) -> tuple[dict[int, Any], dict[str, int | None]]:
    """Like ProcessConfig's: the readers by descriptor, and the descriptors of both sides by name."""
    ours, theirs = os.openpty()
    os.set_blocking(ours, False)
    attributes = termios.tcgetattr(theirs)
    attributes[1] &= ~termios.ONLCR
    termios.tcsetattr(theirs, termios.TCSANOW, attributes)
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
    dispatcher = TerminalDispatcher(process, events.ProcessCommunicationStdoutEvent, ours)
    # supervisord closes each descriptor of either side once.
    pipes: dict[str, int | None] = {
        "stdin": None,
        "stdout": ours,
        "stderr": None,
        "child_stdin": theirs,
        "child_stdout": os.dup(theirs),
        "child_stderr": None,
    }
    return {ours: dispatcher}, pipes


def take() -> None:
    """In the child, after setsid: make standard input the session's terminal."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
