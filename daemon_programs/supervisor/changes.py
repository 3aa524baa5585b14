"""Learn of state changes as they happen: requests that wait sleep on an event, never on a poll.

One thread of the process reads the plugin's broadcast, wakes whoever watches the group that a line
names, and tells those who listen to all of them. What is true is then asked of supervisord: a line is
only a reason to look.
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

_RECONNECT_SECONDS = 0.5

# Called with each line, and with None when some may have been missed; by the reading thread.
Listener = Callable[[dict[str, Any] | None], None]


class Watch:
    """One waiting request's view of a group."""

    def __init__(self) -> None:
        self._changed = threading.Event()
        self.closing = False

    def wake(self) -> None:
        self._changed.set()

    def wait(self, seconds: float) -> None:
        """Sleep until something about the group has changed, or the time is over."""
        self._changed.wait(seconds)
        self._changed.clear()
        if self.closing:
            raise ShuttingDown("The daemon is shutting down; what was asked for is under way")


class Changes:
    """The watches of this process. The reading thread starts with the first of them."""

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
    def watch(self, group: str, *, brief: bool = False) -> Iterator[Watch]:
        """Watch a group; raises TooManyWaits when there is no room for one more.

        For what is ``brief`` there always is: long waits must not keep anybody from stopping a program.
        """
        watch = Watch()
        with self._lock:
            if not brief and self._count >= self._most_watches:
                raise TooManyWaits("Too many requests are waiting already; try again later")
            self._count += not brief
            watch.closing = self._closing
            self._watches.setdefault(group, set()).add(watch)
            self._ensure_thread()
        try:
            yield watch
        finally:
            with self._lock:
                self._count -= not brief
                self._watches[group].discard(watch)
                if not self._watches[group]:
                    del self._watches[group]

    def listen(self, listener: Listener) -> None:
        """Tell somebody of everything, from now on."""
        with self._lock:
            self._listeners.append(listener)
            self._ensure_thread()

    def close(self) -> None:
        """Send everybody home who waits (at the process' end)."""
        with self._lock:
            self._closing = True
            for watch in self._all():
                watch.closing = True
                watch.wake()

    def _ensure_thread(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._read_for_ever, name="changes", daemon=True)
            self._thread.start()

    def _all(self) -> list[Watch]:
        return [watch for watches in self._watches.values() for watch in watches]

    def _read_for_ever(self) -> None:
        while True:
            try:
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                    connection.connect(self._socket_path)
                    self._wake_all()  # what was missed before the connection stood
                    self._read(connection)
            except OSError:
                pass  # supervisord is away; those who wait ask it themselves and find out
            except Exception:
                logger.exception("A state change could not be read")
            self._wake_all()
            time.sleep(_RECONNECT_SECONDS)

    def _read(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as lines:
            for line in lines:
                change = json.loads(line)
                with self._lock:
                    for watch in self._watches.get(change["group"], ()):
                        watch.wake()
                self._tell(change)

    def _wake_all(self) -> None:
        with self._lock:
            for watch in self._all():
                watch.wake()
        self._tell(None)

    def _tell(self, change: dict[str, Any] | None) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener(change)
