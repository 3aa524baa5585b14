"""The one thread that writes to all streams.

It takes from a source only when the client has taken what there was before, so a client that reads
slowly costs no memory; and a little at a time, so a flood of lines keeps nobody else waiting.
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
from daemon_programs.streams import sse
from daemon_programs.streams.authorization import Authorization
from daemon_programs.streams.watcher import Watcher
from daemon_programs.supervisor.gateway import changes

logger = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS = 15.0
_PATIENCE_SECONDS = 300.0  # with a client that takes nothing
_SEND_BUFFER_BYTES = 256 * 1024  # the kernel's, which would grow to megabytes for each slow client
_LONGEST_BREATH_SECONDS = 0.005
_READ_BYTES = 64 * 1024


class Source(Protocol):
    """What a stream tells. All but ``open`` is called by the pump's thread, which must not be held up."""

    @property
    def group(self) -> str:
        """Changes of this group make it look."""

    @property
    def looks_after_seconds(self) -> float:
        """How long after a change it looks."""

    def open(self) -> None:
        """Find where to begin; called by the request's thread."""

    def begin(self, watcher: Watcher, wake: Callable[[], None]) -> bytes:
        """The first of it; ``wake`` asks for a turn."""

    def pull(self) -> bytes | None:
        """Its turn: a part of what is new, empty if nothing is; None at the end."""

    def look(self) -> None:
        """Something may have changed that nobody tells."""

    def close(self) -> None: ...


class _Stream:
    """An open stream: the client's socket, and what it has not taken yet."""

    def __init__(
        self, connection: socket.socket, head: bytes, source: Source, is_authorized: Authorization
    ) -> None:
        self.connection = connection
        self.pending = head
        self.source = source
        self.is_authorized = is_authorized
        self.taken_at = time.monotonic()
        self.will_look = False
        self.blocked = False
        self.open = True


class Pump:
    """All streams of this process. The thread starts with the first of them."""

    def __init__(self, most_streams: int) -> None:
        self._most_streams = most_streams
        self._lock = threading.Lock()
        self._admitted: WeakSet[Source] = WeakSet()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._arrivals: deque[_Stream] = deque()
        self._heard: deque[str | None] = deque()
        # The thread's own from here on
        self._alarm = -1
        self._selector: selectors.BaseSelector
        self._watcher: Watcher
        self._streams: dict[str, set[_Stream]] = defaultdict(set)
        self._ready: dict[_Stream, None] = {}
        self._keep_alives: deque[tuple[float, _Stream]] = deque()
        self._looks: list[tuple[float, int, _Stream]] = []
        self._numbers = itertools.count()

    # For other threads

    @property
    def count(self) -> int:
        """How many streams are open."""
        return len(self._admitted)

    def admit(self, source: Source) -> None:
        """Take a place for as long as the source lives."""
        with self._lock:
            if self._closing:
                raise ShuttingDown("The daemon is shutting down")
            if len(self._admitted) >= self._most_streams:
                raise TooManyStreams(f"{self._most_streams} streams are open already; try again later")
            self._ensure_thread()
            self._admitted.add(source)

    def take(
        self, connection: socket.socket, head: bytes, source: Source, is_authorized: Authorization
    ) -> None:
        """Write a stream to a client, until either ends."""
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        self._arrivals.append(_Stream(connection, head, source, is_authorized))
        os.eventfd_write(self._alarm, 1)

    def close(self) -> None:
        """End all streams (at the process' end)."""
        self._closing = True
        if self._alarm >= 0:
            os.eventfd_write(self._alarm, 1)

    def _ensure_thread(self) -> None:
        """Start it with the first stream. An inotify instance is what a host may have no more of."""
        if self._thread is not None:
            return
        try:
            with ExitStack() as undo:
                self._watcher = undo.enter_context(closing(Watcher()))
                self._selector = undo.enter_context(selectors.DefaultSelector())
                self._alarm = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
                undo.pop_all()
        except OSError as problem:
            raise StreamsUnavailable(
                f"Files can't be followed at the moment: {problem.strerror}"
            ) from problem
        self._selector.register(self._alarm, selectors.EVENT_READ, self._answer_alarm)
        self._selector.register(self._watcher, selectors.EVENT_READ, self._watcher.tell)
        self._thread = threading.Thread(target=self._run, name="streams", daemon=True)
        self._thread.start()
        changes.listen(self._hear)

    def _hear(self, line: dict[str, Any] | None) -> None:
        """A change, or None: some may have been missed."""
        self._heard.append(None if line is None else line["group"])
        os.eventfd_write(self._alarm, 1)

    # The thread

    def _run(self) -> None:
        while not self._closing:
            try:
                self._wait()
                self._do_what_is_due()
                self._give_turns()
            except Exception:
                logger.exception("The streams could not be written for a moment")
        for stream in self._all():
            self._drop(stream)

    def _all(self) -> list[_Stream]:
        return [stream for streams in self._streams.values() for stream in streams]

    def _wait(self) -> None:
        for key, events in self._selector.select(self._time_until_next()):
            if isinstance(key.data, _Stream):
                self._attend(key.data, events)
            else:
                key.data()

    def _time_until_next(self) -> float | None:
        if self._ready or self._arrivals:
            return 0
        dues = [queue[0][0] for queue in (self._keep_alives, self._looks) if queue]
        return max(min(dues) - time.monotonic(), 0) if dues else None

    def _answer_alarm(self) -> None:
        os.eventfd_read(self._alarm)
        while self._arrivals:
            self._welcome(self._arrivals.popleft())
        while self._heard:
            group = self._heard.popleft()
            for stream in self._all() if group is None else self._streams.get(group, ()):
                self._look_soon(stream)

    def _welcome(self, stream: _Stream) -> None:
        self._streams[stream.source.group].add(stream)
        self._selector.register(stream.connection, selectors.EVENT_READ, stream)
        self._keep_alives.append((time.monotonic() + KEEP_ALIVE_SECONDS, stream))
        with self._contained(stream):
            stream.pending += stream.source.begin(self._watcher, lambda: self._make_ready(stream))
        self._make_ready(stream)

    def _attend(self, stream: _Stream, events: int) -> None:
        """The client can take more, or has gone: it has nothing to say."""
        if events & selectors.EVENT_READ:
            try:
                gone = not stream.connection.recv(_READ_BYTES)
            except BlockingIOError:
                gone = False
            except OSError:
                gone = True
            if gone:
                self._drop(stream)
                return
        if events & selectors.EVENT_WRITE:
            self._expect(stream, blocked=False)
            self._make_ready(stream)

    def _expect(self, stream: _Stream, *, blocked: bool) -> None:
        if stream.blocked != blocked:
            stream.blocked = blocked
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if blocked else 0)
            self._selector.modify(stream.connection, events, stream)

    def _make_ready(self, stream: _Stream) -> None:
        if stream.open and not stream.blocked:
            self._ready[stream] = None

    def _look_soon(self, stream: _Stream) -> None:
        if not stream.will_look:
            stream.will_look = True
            due = time.monotonic() + stream.source.looks_after_seconds
            heapq.heappush(self._looks, (due, next(self._numbers), stream))

    def _do_what_is_due(self) -> None:
        now = time.monotonic()
        while self._looks and self._looks[0][0] <= now:
            stream = heapq.heappop(self._looks)[2]
            stream.will_look = False
            self._look(stream)
        while self._keep_alives and self._keep_alives[0][0] <= now:
            stream = self._keep_alives.popleft()[1]
            if stream.open:
                self._keep_alive(stream, now)
                self._keep_alives.append((now + KEEP_ALIVE_SECONDS, stream))

    def _look(self, stream: _Stream) -> None:
        if stream.open:
            with self._contained(stream):
                stream.source.look()
            self._make_ready(stream)

    def _keep_alive(self, stream: _Stream, now: float) -> None:
        with self._contained(stream):
            if not stream.is_authorized():
                self._drop(stream)
        self._look(stream)
        if not stream.pending:
            stream.pending = sse.KEEP_ALIVE
            stream.taken_at = now
        elif now - stream.taken_at > _PATIENCE_SECONDS:
            self._drop(stream)

    def _give_turns(self) -> None:
        """A turn for each that has something to tell, and between them air for the other threads."""
        for stream in list(self._ready):
            begun = time.monotonic()
            self._ready.pop(stream, None)
            with self._contained(stream):
                if stream.open and self._turn(stream):
                    self._make_ready(stream)
                    time.sleep(min(time.monotonic() - begun, _LONGEST_BREATH_SECONDS))

    def _turn(self, stream: _Stream) -> bool:
        """Send what is pending, else what is new; whether there may be more."""
        if not stream.pending:
            news = stream.source.pull()
            if news is None:
                self._drop(stream)
                return False
            if not news:
                return False
            stream.pending = news
            stream.taken_at = time.monotonic()
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
            stream.taken_at = time.monotonic()
        if stream.pending:
            self._expect(stream, blocked=True)
            return False
        return True

    def _drop(self, stream: _Stream) -> None:
        if not stream.open:
            return
        stream.open = False
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
    def _contained(self, stream: _Stream) -> Iterator[None]:
        """What goes wrong with a stream ends that one alone; a busy database doesn't end even that."""
        try:
            yield
        except DatabaseError as problem:
            logger.warning("A stream could not look into the database: %s", problem)
        except Exception:
            logger.exception("A stream has failed")
            self._drop(stream)


pump = Pump(settings.STREAMS)
