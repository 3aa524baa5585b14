"""Run supervisord in the foreground, whose terminal may go away: `hoody_site.stack.start` becomes this.

Without it, the first line that supervisord can't print ends it at once, and leaves everything else running.
A terminal that hangs up ends the stack in order, as SIGTERM does. Any other SIGHUP restarts everything, as
supervisord documents it. Where SIGHUP was ignored from the start (``nohup``), it stays ignored.
"""

import io
import os
import signal
import sys
from typing import Any

from supervisor import supervisord
from supervisor.options import ServerOptions

# A critical line of stock supervisord about its socket, which only this user can open.
_NEEDLESS_WARNING = "without any HTTP authentication"

_terminals = [descriptor for descriptor in (0, 1, 2) if os.isatty(descriptor)]
_ignores_hangups = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


class ForegroundOptions(ServerOptions):
    """The options of supervisord, which also handle its signals."""

    def setsignals(self) -> None:
        """Handle signals, and SIGHUP unless it was ignored."""
        super().setsignals()
        if _ignores_hangups:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def get_signal(self) -> int | None:
        """Return the next signal; a SIGTERM for the SIGHUP of a terminal that has gone."""
        received: int | None = super().get_signal()
        if received != signal.SIGHUP or not _has_hung_up():
            return received
        self.logger.warn("the terminal has hung up: the stack ends")
        return signal.SIGTERM

    def make_http_servers(self, supervisord: Any) -> Any:
        """Open the socket, without the warning that it has no password."""
        log = self.logger.critical

        def log_what_matters(message: str, **values: Any) -> None:
            if _NEEDLESS_WARNING not in message:
                log(message, **values)

        self.logger.critical = log_what_matters
        try:
            return super().make_http_servers(supervisord)
        finally:
            del self.logger.critical


class Output(io.FileIO):
    """Standard output or error, which drops what can't be written, such as to a terminal that has gone."""

    def write(self, data: Any) -> int:
        """Write, or drop."""
        try:
            return super().write(data) or len(data)
        except OSError:
            return len(data)


def _has_hung_up() -> bool:
    return any(not os.isatty(descriptor) for descriptor in _terminals)


def _output(descriptor: int) -> io.TextIOWrapper:
    raw = Output(descriptor, "w", closefd=False)
    return io.TextIOWrapper(io.BufferedWriter(raw), errors="backslashreplace", line_buffering=True)


def main() -> None:
    """Run supervisord until it is stopped."""
    sys.stdout, sys.stderr = _output(1), _output(2)
    supervisord.ServerOptions = ForegroundOptions
    supervisord.main()


if __name__ == "__main__":
    main()
