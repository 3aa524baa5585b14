"""Follow several streams at once: a thread each, and one reader of what they bring."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from daemonctl.client import Client, StreamEvent
from daemonctl.problems import Problem


class Source(NamedTuple):
    """A stream to follow."""

    route: str
    query: dict[str, Any]
    name: str = ""  # of what it is about, if it is one thing


def merged(
    client: Client, sources: Sequence[Source], report: Callable[[str], None]
) -> Iterator[tuple[int, StreamEvent]]:
    """Yield the number of a source and its event as events come, until all streams have ended.

    A problem of one stream ends it; it is raised once the others have ended too. ``report`` is told of lost
    connections, once for all streams that share them.
    """
    arrived: queue.SimpleQueue[tuple[int, StreamEvent | Problem | None]] = queue.SimpleQueue()
    lost = threading.Lock()

    def told(sentence: str) -> None:
        if lost.acquire(blocking=False):
            report(sentence)

    def read(number: int, source: Source) -> None:
        try:
            for event in client.stream(source.route, source.query, report=told):
                arrived.put((number, event))
        except Problem as problem:
            arrived.put((number, problem))
        finally:
            arrived.put((number, None))

    for number, source in enumerate(sources):
        threading.Thread(target=read, args=(number, source), daemon=True).start()
    under_way, first_problem = len(sources), None
    while under_way:
        number, item = arrived.get()
        if item is None:
            under_way -= 1
        elif isinstance(item, Problem):
            first_problem = first_problem or item
        else:
            if lost.locked():
                lost.release()
            yield number, item
    if first_problem is not None:
        raise first_problem
