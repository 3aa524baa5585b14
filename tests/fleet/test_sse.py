"""What arrives on the stream of a host, whole or in pieces."""

import pytest

from fleet.following.sse import Event, Malformed, Parser

STREAM = (
    b"retry: 2000\nid: 7\n\n: keep-alive\n\nid: 8\nevent: state\ndata: {\"id\": 8}\n\n"
    b"event: reset\ndata: {\"reason\": \"purged\"}\n\nid: 12\n\n"
)  # fmt: skip
EVENTS = [
    Event("message", b"", "7"),
    Event("message", b"", None),
    Event("state", b'{"id": 8}', "8"),
    Event("reset", b'{"reason": "purged"}', None),
    Event("message", b"", "12"),
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, len(STREAM)])
def test_events_are_read_from_pieces_of_any_size(size: int) -> None:
    parser = Parser()
    pieces = [STREAM[start : start + size] for start in range(0, len(STREAM), size)]
    assert [event for piece in pieces for event in parser.feed(piece)] == EVENTS


def test_lines_may_end_otherwise_and_data_may_have_several() -> None:
    events = Parser().feed(b"data:one\r\ndata: two\r\nid: 1\r\n\r\n")
    assert events == [Event("message", b"one\ntwo", "1")]


def test_what_does_not_end_is_refused() -> None:
    parser = Parser()
    for _ in range(4):
        assert parser.feed(b"x" * 1024 * 1024) == []
    with pytest.raises(Malformed):
        parser.feed(b"x")
