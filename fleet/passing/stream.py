"""A stream of a host, written to the client by the pump as it arrives."""

import contextlib
import ssl
import time
from collections.abc import Callable

from daemon_programs.streams.watcher import Watcher
from fleet.models import Host
from fleet.passing.chunks import Chunks
from fleet.passing.upstream import OpenStream

# A host sends a comment every 15 seconds. One that is silent for longer is lost, without any notice.
_SILENCE_SECONDS = 40.0
_READ_BYTES = 64 * 1024
_MOST_OF_AN_EVENT = 16 * 1024 * 1024  # bytes
_END = b"\n\n"  # of an event
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class HostStream:
    """The events of a stream of a host, unchanged: a source of the pump.

    It reads only what its client has room for, so a slow client slows the host down, which waits for it as it
    would for any other. Events are given as a whole, because the pump puts comments between two parts. The
    stream ends when the host ends it or is lost, removed or changed; its client then resumes it.
    """

    group = ""  # none here: nothing that happens on this host concerns it
    refresh_delay_seconds = 0.0
    look_seconds = 0.0
    files = 1

    def __init__(self, host: Host, opened: OpenStream) -> None:
        self._host = host
        self._connection, self._answer = opened
        self._chunks = Chunks() if opened.answer.chunked else None
        self._received = bytearray()
        self._is_over = False
        self._heard_at = time.monotonic()
        self._watcher: Watcher | None = None
        self._connection.setblocking(False)
        with contextlib.suppress(OSError):  # with TLS there may be a record that isn't complete yet
            self._take(self._answer.fp.peek())  # what was read with the head of the answer

    def open(self) -> None:
        """Do nothing: the host knows where the stream begins."""

    def start(self, watcher: Watcher, wake: Callable[[], None]) -> bytes:
        """Have the pump woken when something arrives."""
        self._watcher = watcher
        watcher.watch_socket(self._connection.fileno(), wake)
        return b""

    def pull(self) -> bytes | None:
        """Return the next events, empty if there are none; None at the end of the stream."""
        while not (events := self._whole_events()):
            if self._is_over or len(self._received) > _MOST_OF_AN_EVENT:
                return None
            try:
                self._read()
            except _NOT_NOW:
                return None if time.monotonic() - self._heard_at > _SILENCE_SECONDS else b""
            except OSError:
                return None
        return events

    def refresh(self) -> None:
        """End the stream of a host that was removed, or that is another one by now."""
        unchanged = {"url": self._host.url, "ca": self._host.ca, "sealed_token": self._host.sealed_token}
        if not Host.objects.filter(pk=self._host.pk, **unchanged).exists():
            self._is_over = True
            self._received.clear()

    def close(self) -> None:
        """Close the connection to the host."""
        if self._watcher is not None:
            self._watcher.forget_socket(self._connection.fileno())
        self._answer.close()
        self._connection.close()

    def _whole_events(self) -> bytes:
        end = self._received.rfind(_END) + len(_END)
        if end < len(_END):
            return b""
        events = bytes(self._received[:end])
        del self._received[:end]
        return events

    def _read(self) -> None:
        """Take what has arrived; raise one of ``_NOT_NOW`` if nothing has."""
        data = self._connection.recv(_READ_BYTES)
        self._heard_at = time.monotonic()
        if data:
            self._take(data)
        else:
            self._is_over = True

    def _take(self, data: bytes) -> None:
        if self._chunks is None:
            self._received += data
            return
        try:
            self._received += self._chunks.joined(data)
            self._is_over = self._chunks.is_over
        except ValueError:
            self._is_over = True
