"""Watch files and folders with inotify, and sockets with epoll, so that following needs no polling."""

import contextlib
import select
from collections.abc import Callable
from dataclasses import dataclass

from inotify_simple import INotify, flags

_FILE = flags.MODIFY
_FOLDER = (
    flags.CREATE | flags.MOVED_TO | flags.MOVED_FROM | flags.DELETE | flags.ATTRIB
    | flags.DELETE_SELF | flags.MOVE_SELF | flags.ONLYDIR
)  # fmt: skip
_QUEUE_OVERFLOW = -1  # the watch number of an event that says that events were lost


@dataclass(frozen=True, slots=True, eq=False)
class Watch:
    """A callback for the changes of a file, or of one name in a folder.

    Several may share one inotify watch, ``number``; ``name`` is empty for a file.
    """

    number: int
    name: str
    wake: Callable[[], None]


class Watcher:
    """All watches of the process, on one descriptor that becomes readable when something has changed."""

    def __init__(self) -> None:
        with contextlib.ExitStack() as undo:
            self._inotify = undo.enter_context(contextlib.closing(INotify(nonblocking=True)))
            self._epoll = undo.enter_context(select.epoll())
            self._epoll.register(self._inotify.fileno(), select.EPOLLIN)
            undo.pop_all()
        self._watches: dict[int, set[Watch]] = {}
        self._sockets: dict[int, Callable[[], None]] = {}

    def fileno(self) -> int:
        """Return the descriptor, for a selector."""
        return self._epoll.fileno()

    def close(self) -> None:
        """Close the descriptor, which removes all watches."""
        self._epoll.close()
        self._inotify.close()

    def watch_socket(self, descriptor: int, wake: Callable[[], None]) -> None:
        """Call ``wake`` when something arrives on a socket, or it is closed.

        It is called once for what has arrived, not for as long as that isn't read: a client that is slow may
        leave it there.
        """
        self._sockets[descriptor] = wake
        self._epoll.register(descriptor, select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET)

    def forget_socket(self, descriptor: int) -> None:
        """Remove the watch of a socket, which is still open; do nothing without one."""
        if self._sockets.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def watch_file(self, descriptor: int, wake: Callable[[], None]) -> Watch:
        """Call ``wake`` when an open file is written, even after it was renamed."""
        return self._add(f"/proc/self/fd/{descriptor}", _FILE, "", wake)

    def watch_name(self, folder: str, name: str, wake: Callable[[], None]) -> Watch:
        """Call ``wake`` when a name in a folder appears, changes or vanishes, or the folder itself does."""
        return self._add(folder, _FOLDER, name, wake)

    def remove(self, watch: Watch) -> None:
        """Remove a watch; its callback is not called any more."""
        watches = self._watches.get(watch.number)
        if watches is None:
            return  # the kernel has removed it already
        watches.discard(watch)
        if not watches:
            del self._watches[watch.number]
            with contextlib.suppress(OSError):  # the kernel removes it at this moment
                self._inotify.rm_watch(watch.number)

    def dispatch(self) -> None:
        """Read the events that are available and call back the watches that they concern."""
        for descriptor, _ in self._epoll.poll(0):
            if descriptor == self._inotify.fileno():
                self._dispatch_files()
            elif wake := self._sockets.get(descriptor):
                wake()

    def _dispatch_files(self) -> None:
        for number, mask, _, name in self._inotify.read(timeout=0):
            if number == _QUEUE_OVERFLOW:
                concerned = {watch for watches in self._watches.values() for watch in watches}
            elif mask & flags.IGNORED:
                concerned = self._watches.pop(number, set())
            else:
                concerned = {
                    watch for watch in self._watches.get(number, ()) if not name or watch.name == name
                }
            for watch in concerned:
                watch.wake()

    def _add(self, path: str, mask: int, name: str, wake: Callable[[], None]) -> Watch:
        watch = Watch(self._inotify.add_watch(path, mask), name, wake)
        self._watches.setdefault(watch.number, set()).add(watch)
        return watch
