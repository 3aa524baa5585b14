"""Give a program a pseudo terminal instead of pipes.

Its output arrives at supervisord as one stream that includes standard error, without the carriage returns
that a screen would need.
"""

import contextlib
import fcntl
import os
import struct
import termios

_ROWS, _COLUMNS = 50, 200


def make_pipes() -> dict[str, int | None]:
    """Open a terminal and return the descriptors of both sides by name, as supervisord's ``make_pipes``."""
    with contextlib.ExitStack() as undo:
        ours, theirs = os.openpty()
        undo.callback(os.close, ours)
        undo.callback(os.close, theirs)
        os.set_blocking(ours, False)
        attributes = termios.tcgetattr(theirs)
        attributes[1] &= ~termios.ONLCR
        termios.tcsetattr(theirs, termios.TCSANOW, attributes)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
        output = os.dup(theirs)  # supervisord closes each descriptor once
        undo.pop_all()
    return {
        "stdin": None,
        "stdout": ours,
        "stderr": None,
        "child_stdin": theirs,
        "child_stdout": output,
        "child_stderr": None,
    }


def take(uid: int) -> None:
    """Make standard input the controlling terminal, with the user as its owner. Call after setsid."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.fchown(0, uid, -1)
