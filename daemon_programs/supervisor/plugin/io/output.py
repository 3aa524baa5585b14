"""Read the output of programs from pipes or terminals, and write it to their logs.

If a log can't be written, stock supervisord closes the pipe, which blocks or ends the program. Here the
output is dropped until the log can be written again, and the program goes on.
"""

import contextlib
import errno
import fcntl
import os
import stat
import time
from typing import Any

from supervisor.dispatchers import PDispatcher, POutputDispatcher
from supervisor.loggers import LevelsByName

from daemon_programs.supervisor.filesystem import logfiles
from daemon_programs.supervisor.plugin import accounts
from daemon_programs.supervisor.plugin.io.timestamps import LineStamper

_RETRY_SECONDS = 1.0
# How far a log may grow beyond its limit: in the middle of a line, and while a follower still reads the
# previous file.
_MOST_BYTES_OF_LINE = 1024 * 1024
_MOST_BYTES_AWAITED = 8 * 1024 * 1024


class RotatingLog:
    """Write a log file and rotate it, as a handler of supervisord's loggers. ``emit`` never raises.

    A file that has reached ``max_bytes`` (0: no limit) is renamed to ``.1``, older ones up to
    ``.<backups>``; without backups it is removed. Files are rotated between two lines only, so each has
    whole lines.

    Only regular files at a path of their own are rotated: never a FIFO or a device, nor what a descriptor
    under ``/proc`` leads to, such as ``/dev/stdout``. A file that others have renamed or deleted is left,
    and a new one opened at its path.

    A follower holds a shared ``flock`` on the file that it reads. The present file is not rotated while
    a follower still reads the previous one, so followers miss no file, however fast they are filled.
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
        self._is_descriptor = False  # whether the path leads to a descriptor under /proc
        self._previous: int | None = None  # the file before this one, while a follower reads it
        self._retry_at = 0.0
        self._open()

    def emit(self, record: Any) -> None:
        """Write the record's bytes, or drop them if the log can't be written."""
        try:
            if self._file is None or self._was_moved(self._file):
                self.reopen()
            self._write_and_rotate(record.msg)
        except OSError:
            self._pause()

    def reopen(self) -> None:
        """Open the file at the path if it is another one by now. Its folder is created if it does not exist.

        Called by supervisord too, on SIGUSR2.
        """
        if self._file is None and time.monotonic() < self._retry_at:
            return
        try:
            if self._file is None:
                self._open()
            elif self._was_moved(self._file):
                self._open_next()
        except OSError:
            self._pause()

    def _was_moved(self, file: int) -> bool:
        """Return whether others have renamed or deleted the file, or put another one in its place."""
        try:
            return not self._is_descriptor and not os.path.samestat(os.stat(self.path), os.fstat(file))
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            return False  # nothing is known of the path at the moment, but the file is open

    def remove(self) -> None:
        """Close the file, and delete it if it is a regular one."""
        self.close()
        with self._place() as place:
            logfiles.remove(place)

    def close(self) -> None:
        """Close the file. The next ``emit`` opens it again."""
        self._release_previous()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _place(self) -> contextlib.AbstractContextManager[logfiles.Place]:
        """Resolve the log's path, again each time, since other users may have changed its folders."""
        return logfiles.located(self.path, self.access, make=True)

    def _open(self) -> None:
        with self._place() as place:
            self._file = logfiles.open_to_write(place)
            self._is_descriptor = place.is_descriptor

    def _open_next(self) -> None:
        """Open the file that follows the present one; as long as that is read, the next is not rotated."""
        self._release_previous()
        self._previous, self._file = self._file, None
        self._previous_is_read()  # closes it if not
        self._open()

    def _write_and_rotate(self, data: bytes) -> None:
        end = self._bytes_before_rotation(data)
        self._write(data[:end])
        if end is not None:
            self._rotate()
            self._write(data[end:])

    def _write(self, data: bytes) -> None:
        while data and self._file is not None:
            data = data[os.write(self._file, data) :]

    def _bytes_before_rotation(self, data: bytes) -> int | None:
        """Return how many bytes still go into this file before it is rotated; None not to rotate it."""
        if self.max_bytes <= 0 or self._file is None or self._is_descriptor:
            return None
        status = os.fstat(self._file)
        over = status.st_size + len(data) - self.max_bytes
        if over < 0 or not stat.S_ISREG(status.st_mode):
            return None
        if over < _MOST_BYTES_AWAITED and self._previous_is_read():
            return None
        end_of_line = data.rfind(b"\n") + 1
        if over < _MOST_BYTES_OF_LINE:
            return end_of_line or None
        return end_of_line or len(data)

    def _previous_is_read(self) -> bool:
        """Return whether a follower still reads the previous file; close it if not. Never blocks."""
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
                self._shift_backups(place)
            except OSError:  # the stack may not change the folder
                if self.backups or self._file is None:
                    raise
                os.ftruncate(self._file, 0)
                return
        self._open_next()

    def _shift_backups(self, place: logfiles.Place) -> None:
        """Rename the file and its backups; without backups, delete the file."""
        if self.backups == 0:
            logfiles.remove(place)
        for number in range(self.backups - 1, -1, -1):
            name = f"{place.name}.{number}" if number else place.name
            logfiles.rename(place, name, f"{place.name}.{number + 1}")

    def _release_previous(self) -> None:
        """Stop waiting for followers of the previous file, and mark it for them as read-only.

        Before they look, the next files may have been deleted from the backups. The mode shows them that
        output may be missing between this file and the one that they find.
        """
        if self._previous is not None and self._previous_is_read():
            with contextlib.suppress(OSError):
                os.fchmod(self._previous, 0o400)
            os.close(self._previous)
            self._previous = None

    def _pause(self) -> None:
        """Drop output until the next attempt to open the file."""
        self.close()
        self._retry_at = time.monotonic() + _RETRY_SECONDS


class ProgramOutput(POutputDispatcher):
    """Read one output stream of one process, and write it to its log."""

    stamper: LineStamper | None = None  # with `log_timestamps`

    def _init_normallog(self) -> None:
        config = self.process.config
        if config.log_timestamps:
            self.stamper = LineStamper()
        path = getattr(config, f"{self.channel}_logfile")
        if path is not None:
            self.normallog = config.options.getLogger()
            limits = config.stdout_logfile_maxbytes, config.stdout_logfile_backups
            try:
                log = RotatingLog(path, *limits, accounts.log_access(config))
            except logfiles.LogRefused:
                raise  # its sentence names the log
            except OSError as problem:
                raise logfiles.LogUnopened(problem.errno, problem.strerror, path) from problem
            self.normallog.handlers.append(log)

    def record_output(self) -> None:
        """Log what was read; show it to who waits for a line of it."""
        observation = self.process.observation
        if observation is not None and observation.reads_output and self.output_buffer:
            observation.take_output(self.channel, self.output_buffer)
        super().record_output()

    def _log(self, data: bytes) -> None:
        super()._log(self.stamper.stamp(data) if self.stamper and data else data)

    def handle_read_event(self) -> None:
        """Read available output. A terminal that no process has open any more raises EIO: its end."""
        try:
            super().handle_read_event()
        except OSError as problem:
            if problem.errno != errno.EIO:
                raise
            self.close()

    def close(self) -> None:
        """Close the log with the pipe: nothing else closes it."""
        if not self.closed and self.normallog is not None:
            if self.stamper and self.stamper.is_within_line:
                super()._log(b"\n")  # the next run begins a line, with its time
            self.normallog.close()
        super().close()


class SideOutput(PDispatcher):
    """Read what a command prints that runs beside a process, and write it to a log of the process."""

    def __init__(self, process: Any, fd: int) -> None:
        super().__init__(process, "stdout", fd)
        outputs = [process.dispatchers.get(process.pipes.get(channel)) for channel in ("stderr", "stdout")]
        self._into = next((each for each in outputs if each is not None), None)

    def readable(self) -> bool:
        return not self.closed

    def writable(self) -> bool:
        return False

    def handle_read_event(self) -> None:
        """Log what is there; without a log that is open, drop it."""
        data = self.process.config.options.readfd(self.fd)
        if not data:
            self.close()
        elif self._into is not None and not self._into.closed and self._into.normallog is not None:
            self._into.normallog.info(data)
