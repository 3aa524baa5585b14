"""Read Server-Sent Events, as the HTML standard defines them, from a connection to a host."""

from typing import NamedTuple

_MOST_BYTES = 4 * 1024 * 1024  # of one event: a host that sends more is none


class Event(NamedTuple):
    """An event of a stream; without data it only tells a position, or is a comment."""

    name: str
    data: bytes
    id: str | None


class Malformed(ValueError):
    """What was received is no stream of events."""


class Parser:
    """Collect what is received, and return the events that are complete."""

    def __init__(self) -> None:
        self._received = b""

    def feed(self, received: bytes) -> list[Event]:
        """Return the events that end in these bytes; raise Malformed if one is endless."""
        # A daemon ends its lines with a line feed; what stands between may have changed that.
        *blocks, self._received = (self._received + received).replace(b"\r\n", b"\n").split(b"\n\n")
        if len(self._received) > _MOST_BYTES:
            raise Malformed("an event is too long")
        return [_event(block) for block in blocks]


def _event(block: bytes) -> Event:
    name, id = "message", None
    data = []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"event":
            name = value.decode(errors="replace")
        elif field == b"data":
            data.append(value)
        elif field == b"id":
            id = value.decode(errors="replace")
    return Event(name, b"\n".join(data), id)
