"""inotify: who follows a log is told when there is something to look at, and never has to ask."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from inotify_simple import INotify, flags

_FILE = flags.MODIFY
_FOLDER = (
    flags.CREATE | flags.MOVED_TO | flags.MOVED_FROM | flags.DELETE | flags.ATTRIB
    | flags.DELETE_SELF | flags.MOVE_SELF | flags.ONLYDIR
)  # fmt: skip
_OVERFLOWN = -1


@dataclass(frozen=True, slots=True, eq=False)
class Watch:
    """Somebody's interest in a file, or in one name of a folder."""

    number: int
    name: str
    wake: Callable[[], None]


class Watcher:
    """All watches of the process: one descriptor, which becomes readable when something has happened."""

    def __init__(self) -> None:
        self._inotify = INotify(nonblocking=True)
        self._watches: dict[int, set[Watch]] = {}

    def fileno(self) -> int:
        return self._inotify.fileno()

    def close(self) -> None:
        self._inotify.close()

    def file(self, descriptor: int, wake: Callable[[], None]) -> Watch:
        """Watch an open file, whatever it is called by now."""
        return self._add(f"/proc/self/fd/{descriptor}", _FILE, "", wake)

    def name(self, folder: str, name: str, wake: Callable[[], None]) -> Watch:
        """Watch what a folder has by a name, and the folder itself."""
        return self._add(folder, _FOLDER, name, wake)

    def forget(self, watch: Watch) -> None:
        watches = self._watches.get(watch.number)
        if watches is None:
            return  # the kernel has forgotten it
        watches.discard(watch)
        if not watches:
            del self._watches[watch.number]
            with contextlib.suppress(OSError):  # it has gone this very moment
                self._inotify.rm_watch(watch.number)

    def tell(self) -> None:
        """Wake everybody whom something concerns that has happened."""
        for number, mask, _, name in self._inotify.read(timeout=0):
            if number == _OVERFLOWN:
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
