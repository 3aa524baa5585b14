"""Write all streams from one thread.

The pump asks a source for more only when the client has taken everything sent before, so a slow client
uses no memory. Each source gives a little at a time, so a flood of lines does not delay other streams.
"""

import heapq
import itertools
import logging
import os
import selectors
import socket
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any, Protocol
from weakref import WeakSet

from django.conf import settings
from django.db import DatabaseError

from daemon_programs.exceptions import ShuttingDown, StreamsUnavailable, TooManyStreams
from daemon_programs.streams import descriptors, sse
from daemon_programs.streams.authorization import Authorization
from daemon_programs.streams.watcher import Watcher
from daemon_programs.supervisor.gateway import changes

logger = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS = 15.0
_SEND_TIMEOUT_SECONDS = 300.0  # a client that takes nothing for so long is disconnected
_SEND_BUFFER_BYTES = 256 * 1024  # without a limit the kernel's buffer grows to megabytes per slow client
_MAX_PAUSE_SECONDS = 0.005
_READ_BYTES = 64 * 1024
# What streams leave to requests: for each thread its connections to the client, the database (which has up
# to three files) and supervisord; and for the process itself.
_RESERVED_DESCRIPTORS = 5 * settings.THREADS + 64


class Source(Protocol):
    """The content of a stream.

    The request's thread calls ``open``. The pump's thread calls everything else, which must not block.
    """

    @property
    def group(self) -> str:
        """Return the supervisord group whose changes refresh the source."""

    @property
    def refresh_delay_seconds(self) -> float:
        """Return how long after a change of the group the source is refreshed."""

    @property
    def look_seconds(self) -> float:
        """Return how often the source is refreshed by itself; 0 if something tells of what is new."""

    @property
    def files(self) -> int:
        """Return how many files it is going to open."""

    def open(self) -> None:
        """Find the position to start from."""

    def start(self, watcher: Watcher, wake: Callable[[], None]) -> bytes:
        """Return the first part of the stream; from now on, ``wake`` may be called to be pulled."""

    def pull(self) -> bytes | None:
        """Return the next part of what is new, empty if nothing is; None at the end of the stream."""

    def refresh(self) -> None:
        """Check for changes that no watch reports."""

    def close(self) -> None:
        """Release what the source holds."""


class _Stream:
    """An open stream: the client's socket, and the bytes that the client has not taken yet."""

    def __init__(
        self, connection: socket.socket, head: bytes, source: Source, is_authorized: Authorization
    ) -> None:
        self.connection = connection
        self.pending = head
        self.source = source
        self.is_authorized = is_authorized
        self.last_progress = time.monotonic()
        self.refresh_is_scheduled = False
        self.is_blocked = False
        self.is_open = True


class Pump:
    """The open streams of this process; the first one starts the thread."""

    def __init__(self, max_streams: int) -> None:
        self._max_streams = max_streams
        self._lock = threading.Lock()
        self._admitted: WeakSet[Source] = WeakSet()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._new_streams: deque[_Stream] = deque()
        self._changed_groups: deque[str | None] = deque()
        self._wakeup = -1  # an eventfd that other threads write to wake the pump's
        # Only the pump's thread uses these.
        self._selector: selectors.BaseSelector
        self._watcher: Watcher
        self._streams: dict[str, set[_Stream]] = defaultdict(set)
        self._ready: dict[_Stream, None] = {}  # a dict, because a set has no order
        self._keep_alives: deque[tuple[float, _Stream]] = deque()
        self._refreshes: list[tuple[float, int, _Stream]] = []
        self._numbers = itertools.count()  # decide between refreshes of the same time

    # Called by other threads

    @property
    def count(self) -> int:
        """Return how many streams are open."""
        return len(self._admitted)

    def admit(self, source: Source) -> None:
        """Count a source among the open streams for as long as it exists.

        Raise TooManyStreams at the limit or if descriptors are scarce, StreamsUnavailable if the thread
        can't follow files, and ShuttingDown.
        """
        with self._lock:
            if self._closing:
                raise ShuttingDown("The daemon is shutting down")
            if len(self._admitted) >= self._max_streams:
                raise TooManyStreams(f"{self._max_streams} streams are open already; try again later")
            if descriptors.are_scarce(_RESERVED_DESCRIPTORS + source.files):
                raise TooManyStreams("The limit of open files leaves no room for a stream; try again later")
            self._ensure_thread()
            self._admitted.add(source)

    def take(
        self, connection: socket.socket, head: bytes, source: Source, is_authorized: Authorization
    ) -> None:
        """Write a stream to a client until the source ends or the client disconnects."""
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        self._new_streams.append(_Stream(connection, head, source, is_authorized))
        os.eventfd_write(self._wakeup, 1)

    def close(self) -> None:
        """End all streams, when the process ends."""
        self._closing = True
        if self._wakeup >= 0:
            os.eventfd_write(self._wakeup, 1)

    def _ensure_thread(self) -> None:
        """Start the thread with the first stream: a host may have no inotify instance left."""
        if self._thread is not None:
            return
        try:
            with ExitStack() as undo:
                self._watcher = undo.enter_context(closing(Watcher()))
                self._selector = undo.enter_context(selectors.DefaultSelector())
                self._wakeup = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
                undo.callback(self._close_wakeup)
                self._selector.register(self._wakeup, selectors.EVENT_READ, self._handle_wakeup)
                self._selector.register(self._watcher, selectors.EVENT_READ, self._watcher.dispatch)
                thread = threading.Thread(target=self._run, name="streams", daemon=True)
                thread.start()
                undo.pop_all()
        except OSError as problem:
            raise StreamsUnavailable(
                f"Files can't be followed at the moment: {problem.strerror}"
            ) from problem
        self._thread = thread
        changes.listen(self._on_change)

    def _close_wakeup(self) -> None:
        os.close(self._wakeup)
        self._wakeup = -1

    def _on_change(self, line: dict[str, Any] | None) -> None:
        """Refresh the streams of a changed group; all streams if ``line`` is None: changes may be missed."""
        self._changed_groups.append(None if line is None else line["group"])
        os.eventfd_write(self._wakeup, 1)

    # Called by the pump's thread

    def _run(self) -> None:
        while not self._closing:
            try:
                self._wait()
                self._run_due_timers()
                self._serve_ready()
            except Exception:
                logger.exception("The streams could not be written for a moment")
        for stream in self._all():
            self._drop(stream)

    def _all(self) -> list[_Stream]:
        return [stream for streams in self._streams.values() for stream in streams]

    def _wait(self) -> None:
        """Sleep until a client, a watch or another thread needs the pump, or a timer is due."""
        for key, events in self._selector.select(self._seconds_until_next()):
            if isinstance(key.data, _Stream):
                self._handle_client(key.data, events)
            else:
                key.data()

    def _seconds_until_next(self) -> float | None:
        if self._ready or self._new_streams:
            return 0
        due = [queue[0][0] for queue in (self._keep_alives, self._refreshes) if queue]
        return max(min(due) - time.monotonic(), 0) if due else None

    def _handle_wakeup(self) -> None:
        os.eventfd_read(self._wakeup)
        while self._new_streams:
            self._add(self._new_streams.popleft())
        while self._changed_groups:
            group = self._changed_groups.popleft()
            for stream in self._all() if group is None else self._streams.get(group, ()):
                self._schedule_refresh(stream)

    def _add(self, stream: _Stream) -> None:
        self._streams[stream.source.group].add(stream)
        self._selector.register(stream.connection, selectors.EVENT_READ, stream)
        self._keep_alives.append((time.monotonic() + KEEP_ALIVE_SECONDS, stream))
        with self._isolated(stream):
            stream.pending += stream.source.start(self._watcher, lambda: self._make_ready(stream))
        self._make_ready(stream)
        self._look_again(stream)

    def _handle_client(self, stream: _Stream, events: int) -> None:
        """Continue with a client that can take more, drop one that has gone, and ignore what it sends."""
        if events & selectors.EVENT_READ:
            try:
                has_gone = not stream.connection.recv(_READ_BYTES)
            except BlockingIOError:
                has_gone = False
            except OSError:
                has_gone = True
            if has_gone:
                self._drop(stream)
                return
        if events & selectors.EVENT_WRITE:
            self._set_blocked(stream, False)
            self._make_ready(stream)

    def _set_blocked(self, stream: _Stream, is_blocked: bool) -> None:
        if stream.is_blocked != is_blocked:
            stream.is_blocked = is_blocked
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if is_blocked else 0)
            self._selector.modify(stream.connection, events, stream)

    def _make_ready(self, stream: _Stream) -> None:
        if stream.is_open and not stream.is_blocked:
            self._ready[stream] = None

    def _schedule_refresh(self, stream: _Stream) -> None:
        self._refresh_after(stream, stream.source.refresh_delay_seconds)

    def _look_again(self, stream: _Stream) -> None:
        if stream.is_open and stream.source.look_seconds:
            self._refresh_after(stream, stream.source.look_seconds)

    def _refresh_after(self, stream: _Stream, seconds: float) -> None:
        if not stream.refresh_is_scheduled:
            stream.refresh_is_scheduled = True
            heapq.heappush(self._refreshes, (time.monotonic() + seconds, next(self._numbers), stream))

    def _run_due_timers(self) -> None:
        now = time.monotonic()
        while self._refreshes and self._refreshes[0][0] <= now:
            stream = heapq.heappop(self._refreshes)[2]
            stream.refresh_is_scheduled = False
            self._refresh(stream)
            self._look_again(stream)
        while self._keep_alives and self._keep_alives[0][0] <= now:
            stream = self._keep_alives.popleft()[1]
            if stream.is_open:
                self._keep_alive(stream, now)
                self._keep_alives.append((now + KEEP_ALIVE_SECONDS, stream))

    def _refresh(self, stream: _Stream) -> None:
        if stream.is_open:
            with self._isolated(stream):
                stream.source.refresh()
            self._make_ready(stream)

    def _keep_alive(self, stream: _Stream, now: float) -> None:
        with self._isolated(stream):
            if not stream.is_authorized():
                self._drop(stream)
        self._refresh(stream)
        if not stream.pending:
            stream.pending = sse.KEEP_ALIVE
            stream.last_progress = now
        elif now - stream.last_progress > _SEND_TIMEOUT_SECONDS:
            self._drop(stream)

    def _serve_ready(self) -> None:
        """Give each ready stream a turn, and pause after each so that other threads can run."""
        for stream in list(self._ready):
            started = time.monotonic()
            self._ready.pop(stream, None)
            with self._isolated(stream):
                if stream.is_open and self._give_turn(stream):
                    self._make_ready(stream)
                    time.sleep(min(time.monotonic() - started, _MAX_PAUSE_SECONDS))

    def _give_turn(self, stream: _Stream) -> bool:
        """Send what is pending, or else what is new; return whether there may be more."""
        if not stream.pending:
            part = stream.source.pull()
            if part is None:
                self._drop(stream)
                return False
            if not part:
                return False
            stream.pending = part
            stream.last_progress = time.monotonic()
        return self._send(stream)

    def _send(self, stream: _Stream) -> bool:
        try:
            sent = stream.connection.send(stream.pending)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._drop(stream)
            return False
        stream.pending = stream.pending[sent:]
        if sent:
            stream.last_progress = time.monotonic()
        if stream.pending:
            self._set_blocked(stream, True)
            return False
        return True

    def _drop(self, stream: _Stream) -> None:
        if not stream.is_open:
            return
        stream.is_open = False
        self._ready.pop(stream, None)
        group = stream.source.group
        self._streams[group].discard(stream)
        if not self._streams[group]:
            del self._streams[group]
        self._selector.unregister(stream.connection)
        stream.connection.close()
        stream.source.close()
        with self._lock:
            self._admitted.discard(stream.source)

    @contextmanager
    def _isolated(self, stream: _Stream) -> Iterator[None]:
        """Drop a stream that fails, without affecting the others.

        One that can't query the database stays open: the database may just be busy.
        """
        try:
            yield
        except DatabaseError as problem:
            logger.warning("A stream could not look into the database: %s", problem)
        except Exception:
            logger.exception("A stream has failed")
            self._drop(stream)


pump = Pump(settings.STREAMS)
