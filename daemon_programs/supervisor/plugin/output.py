"""What programs print: read from their pipes or terminals, written to their logs.

Stock supervisord closes the pipe of a program whose log can't be written, which blocks or ends the
program. Here its output is dropped until the log can be written again, and the program goes on.
"""

import contextlib
import errno
import os
import stat
import time
from typing import Any

from supervisor.dispatchers import POutputDispatcher
from supervisor.loggers import LevelsByName

_RETRY_SECONDS = 1.0


class RotatingLog:
    """A log file, as supervisord's loggers want their handlers: one that never raises.

    Rotated when it has reached ``max_bytes`` (0: never) to ``.1`` up to ``.<backups>``; without
    backups it is emptied.
    """

    level = LevelsByName.INFO

    def __init__(self, path: str, max_bytes: int, backups: int) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self.backups = backups
        self._file: int | None = None
        self._retry_at = 0.0
        self._open()

    def emit(self, record: Any) -> None:
        if self._file is None:
            self.reopen()
        try:
            self._write(record.msg)
            self._rotate_if_full()
        except OSError:
            self._give_up_for_now()

    def reopen(self) -> None:
        """Open the file anew, for whoever has moved it away; its folder is made if it has gone."""
        if self._file is None and time.monotonic() < self._retry_at:
            return
        self.close()
        try:
            os.makedirs(os.path.dirname(self.path), mode=0o755, exist_ok=True)
            self._open()
        except OSError:
            self._give_up_for_now()

    def remove(self) -> None:
        self.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self, flags: int = 0) -> None:
        # Not blocking: a log may be a FIFO that nobody reads.
        flags |= os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
        self._file = os.open(self.path, flags, 0o600)

    def _write(self, data: bytes) -> None:
        while data and self._file is not None:
            data = data[os.write(self._file, data) :]

    def _rotate_if_full(self) -> None:
        if self.max_bytes <= 0 or self._file is None:
            return
        status = os.fstat(self._file)
        if status.st_size < self.max_bytes or not stat.S_ISREG(status.st_mode):
            return
        self.close()
        for number in range(self.backups - 1, -1, -1):
            older = f"{self.path}.{number + 1}"
            with contextlib.suppress(FileNotFoundError):
                os.replace(f"{self.path}.{number}" if number else self.path, older)
        self._open(os.O_TRUNC)

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
            self.normallog.handlers.append(
                RotatingLog(path, config.stdout_logfile_maxbytes, config.stdout_logfile_backups)
            )

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
