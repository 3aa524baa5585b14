"""A terminal for a program: a pseudo terminal in the place of the pipes.

What the program prints arrives at supervisord as one stream, standard error included, and without the
carriage returns that a screen would need.
"""

import contextlib
import fcntl
import os
import struct
import termios

_ROWS, _COLUMNS = 50, 200


def make_pipes() -> dict[str, int | None]:
    """The descriptors of both sides by name, as supervisord's ``make_pipes`` gives them."""
    with contextlib.ExitStack() as undo:
        ours, theirs = os.openpty()
        undo.callback(os.close, ours)
        undo.callback(os.close, theirs)
        os.set_blocking(ours, False)
        attributes = termios.tcgetattr(theirs)
        attributes[1] &= ~termios.ONLCR
        termios.tcsetattr(theirs, termios.TCSANOW, attributes)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
        again = os.dup(theirs)  # each is closed once
        undo.pop_all()
    return {
        "stdin": None,
        "stdout": ours,
        "stderr": None,
        "child_stdin": theirs,
        "child_stdout": again,
        "child_stderr": None,
    }


def take(uid: int) -> None:
    """In the child, after setsid: make standard input the session's terminal, and the user's own."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.fchown(0, uid, -1)
