"""What programs print: read from their pipes or terminals, written to their logs.

Stock supervisord closes the pipe of a program whose log can't be written, which blocks or ends the
program. Here its output is dropped until the log can be written again, and the program goes on.
"""

import contextlib
import errno
import fcntl
import os
import stat
import time
from typing import Any

from supervisor.dispatchers import POutputDispatcher
from supervisor.loggers import LevelsByName

from daemon_programs.supervisor import logfiles
from daemon_programs.supervisor.plugin import launch

_RETRY_SECONDS = 1.0
# How far a log may grow over its limit: while a line goes on, and while somebody still reads the file before.
_MOST_BYTES_OF_LINE = 1024 * 1024
_MOST_BYTES_AWAITED = 8 * 1024 * 1024


class RotatingLog:
    """A log file, as supervisord's loggers want their handlers: one that never raises.

    Rotated when it has reached ``max_bytes`` (0: never) to ``.1`` up to ``.<backups>``; without
    backups a new one takes its place. That is done between two lines, so each file holds whole lines.

    Who follows it holds a shared ``flock`` on the file that it reads. A file is not rotated away before
    everybody has come to it from the one before: so followers miss none, however fast they are filled.
    """

    level = LevelsByName.INFO

    def __init__(
        self, path: str, max_bytes: int, backups: int, access: logfiles.Access | None = None
    ) -> None:
        self.path = path
        self.access = access or logfiles.Access(os.geteuid(), os.getegid())
        self.max_bytes = max_bytes
        self.backups = backups
        self._file: int | None = None
        self._previous: int | None = None  # the file before, while somebody reads it
        self._retry_at = 0.0
        self._open()

    def emit(self, record: Any) -> None:
        try:
            if self._file is None or os.fstat(self._file).st_nlink == 0:  # or somebody has removed it
                self.reopen()
            self._write_and_rotate(record.msg)
        except OSError:
            self._give_up_for_now()

    def reopen(self) -> None:
        """Open the file anew, for whoever has moved it away; its folder is made if it has gone."""
        if self._file is None and time.monotonic() < self._retry_at:
            return
        self.close()
        try:
            self._open()
        except OSError:
            self._give_up_for_now()

    def remove(self) -> None:
        self.close()
        with self._place() as place:
            logfiles.remove(place)

    def close(self) -> None:
        self._forget_previous()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _place(self) -> contextlib.AbstractContextManager[logfiles.Place]:
        """Where it is: found anew each time, since others may have changed the way."""
        return logfiles.located(self.path, self.access, make=True)

    def _open(self) -> None:
        with self._place() as place:
            self._file = logfiles.open_to_write(place)

    def _write_and_rotate(self, data: bytes) -> None:
        end = self._end_of_file_in(data)
        self._write(data[:end])
        if end is not None:
            self._rotate()
            self._write(data[end:])

    def _write(self, data: bytes) -> None:
        while data and self._file is not None:
            data = data[os.write(self._file, data) :]

    def _end_of_file_in(self, data: bytes) -> int | None:
        """How much of it still goes into this file, if it is to be rotated then."""
        if self.max_bytes <= 0 or self._file is None:
            return None
        status = os.fstat(self._file)
        over = status.st_size + len(data) - self.max_bytes
        if over < 0 or not stat.S_ISREG(status.st_mode):
            return None
        if over < _MOST_BYTES_AWAITED and self._previous_is_read():
            return None
        behind_line = data.rfind(b"\n") + 1
        if over < _MOST_BYTES_OF_LINE:
            return behind_line or None
        return behind_line or len(data)

    def _previous_is_read(self) -> bool:
        """Whether somebody still reads the file before this one; if not, it is let go of. Never waits."""
        if self._previous is None:
            return False
        try:
            fcntl.flock(self._previous, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            if problem.errno == errno.EWOULDBLOCK:
                return True
        os.close(self._previous)
        self._previous = None
        return False

    def _rotate(self) -> None:
        with self._place() as place:
            try:
                self._make_way(place)
            except OSError:  # its folder is not ours to change
                if self.backups or self._file is None:
                    raise
                os.ftruncate(self._file, 0)
                return
        self._forget_previous()
        self._previous, self._file = self._file, None
        self._previous_is_read()
        self._open()

    def _make_way(self, place: logfiles.Place) -> None:
        """Rename the file and those before it, or remove it if there are to be none."""
        if self.backups == 0:
            logfiles.remove(place)
        for number in range(self.backups - 1, -1, -1):
            name = f"{place.name}.{number}" if number else place.name
            logfiles.rename(place, name, f"{place.name}.{number + 1}")

    def _forget_previous(self) -> None:
        """Wait no longer for those who read the file before this one.

        By the time they look it may be among the backups no more. That it has become read-only tells
        them that something may have been between it and what they find.
        """
        if self._previous is not None and self._previous_is_read():
            with contextlib.suppress(OSError):
                os.fchmod(self._previous, 0o400)
            os.close(self._previous)
            self._previous = None

    def _give_up_for_now(self) -> None:
        self.close()
        self._retry_at = time.monotonic() + _RETRY_SECONDS


class ProgramOutput(POutputDispatcher):
    """One stream of one program."""

    def _init_normallog(self) -> None:
        config = self.process.config
        path = getattr(config, f"{self.channel}_logfile")
        if path is not None:
            self.normallog = config.options.getLogger()
            limits = config.stdout_logfile_maxbytes, config.stdout_logfile_backups
            self.normallog.handlers.append(RotatingLog(path, *limits, launch.log_access(config)))

    def handle_read_event(self) -> None:
        """Read what there is. A terminal that the last process has left is an I/O error: its end."""
        try:
            super().handle_read_event()
        except OSError as problem:
            if problem.errno != errno.EIO:
                raise
            self.close()

    def close(self) -> None:
        """Let go of the log with the pipe: nothing else would."""
        if not self.closed and self.normallog is not None:
            self.normallog.close()
        super().close()
