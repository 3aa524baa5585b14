"""The signals that programs can be sent, by the names that clients use, and whom they are sent to."""

import signal

STOP_SIGNALS = ("TERM", "HUP", "INT", "QUIT", "USR1", "USR2", "KILL")
SIGNALS = (*STOP_SIGNALS, "ABRT", "ALRM", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "WINCH")
# A program that is reloaded is to go on.
RELOAD_SIGNALS = tuple(name for name in SIGNALS if name not in ("KILL", "STOP"))

MAIN = "main"  # the program's own process
TREE = "tree"  # this and all that has descended from it
SCOPES = (MAIN, TREE)


def number_of(name: str) -> signal.Signals:
    """Return the signal of a name without its "SIG". Raise KeyError if there is none."""
    return signal.Signals[f"SIG{name}"]


def name_of(number: int) -> str:
    """Return the name of a signal, such as "SIGTERM"."""
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal: only the first and the last have names
        return f"signal {number}"
