"""Wake waiting requests and streams when supervisord reports a change, so that they need not poll.

One thread per process reads the plugin's broadcast. For each line it wakes the requests that watch the
line's group, and calls the listeners. A line only says that something has changed: what has changed is
then read from supervisord.
"""

import contextlib
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from daemon_programs.exceptions import ShuttingDown, TooManyWaits

logger = logging.getLogger(__name__)

EVERY_GROUP = "*"
_RECONNECT_SECONDS = 0.5

# Called by the reading thread with each line, and with None if lines may have been missed.
Listener = Callable[[dict[str, Any] | None], None]


class Watch:
    """Let one waiting request sleep until one of its groups changes."""

    def __init__(self) -> None:
        self._changed = threading.Event()
        self.closing = False

    def wake(self) -> None:
        """End the current or next ``wait``."""
        self._changed.set()

    def wait(self, seconds: float) -> None:
        """Sleep until a group has changed, at most ``seconds``. Raise ShuttingDown on shutdown."""
        self._changed.wait(seconds)
        self._changed.clear()
        if self.closing:
            raise ShuttingDown("The daemon is shutting down; what was asked for is under way")


class Changes:
    """Read the broadcast for all requests of this process, in a thread that starts with the first one.

    ``most_watches`` limits how many requests may wait at the same time.
    """

    def __init__(self, socket_path: Path, most_watches: int) -> None:
        self._socket_path = str(socket_path)
        self._most_watches = most_watches
        self._lock = threading.Lock()
        self._watches: dict[str, set[Watch]] = {}
        self._listeners: list[Listener] = []
        self._count = 0
        self._thread: threading.Thread | None = None
        self._closing = False

    @contextlib.contextmanager
    def watch(self, *groups: str, brief: bool = False) -> Iterator[Watch]:
        """Watch groups, or ``EVERY_GROUP``. Raise TooManyWaits if too many requests are waiting.

        A ``brief`` watch is always admitted and not counted: long waits must not prevent anyone from
        stopping a program. It follows a change that is made already, so a lack of threads does not fail it.
        """
        watch = Watch()
        with self._lock:
            if not brief and self._count >= self._most_watches:
                raise TooManyWaits("Too many requests are waiting already; try again later")
            try:
                self._ensure_thread()  # first: it may fail
            except RuntimeError:
                if not brief:
                    raise
            self._count += not brief
            watch.closing = self._closing
            for group in groups:
                self._watches.setdefault(group, set()).add(watch)
        try:
            yield watch
        finally:
            with self._lock:
                self._count -= not brief
                for group in set(groups):
                    self._watches[group].discard(watch)
                    if not self._watches[group]:
                        del self._watches[group]

    def listen(self, listener: Listener) -> None:
        """Call a listener for all changes from now on."""
        with self._lock:
            self._listeners.append(listener)
            self._ensure_thread()

    def close(self) -> None:
        """Abort all waiting requests on shutdown."""
        with self._lock:
            self._closing = True
            for watch in self._all():
                watch.closing = True
                watch.wake()

    def _ensure_thread(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._read_forever, name="changes", daemon=True)
            self._thread.start()

    def _all(self) -> list[Watch]:
        return [watch for watches in self._watches.values() for watch in watches]

    def _read_forever(self) -> None:
        while True:
            try:
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                    connection.connect(self._socket_path)
                    self._wake_all()  # for changes before the connection was made
                    self._read(connection)
            except OSError:
                pass  # supervisord is down: the waiting requests find that out when they ask it
            except Exception:
                logger.exception("A state change could not be read")
            self._wake_all()
            time.sleep(_RECONNECT_SECONDS)

    def _read(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as lines:
            for line in lines:
                change = json.loads(line)
                with self._lock:
                    for group in (change["group"], EVERY_GROUP):
                        for watch in self._watches.get(group, ()):
                            watch.wake()
                self._notify(change)

    def _wake_all(self) -> None:
        with self._lock:
            for watch in self._all():
                watch.wake()
        self._notify(None)

    def _notify(self, change: dict[str, Any] | None) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener(change)
