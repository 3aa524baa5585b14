"""What goes wrong on the way to a host: whether a request may have arrived, in a sentence."""

import pytest
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError, ReadTimeoutError

from fleet import client
from fleet.exceptions import HostUnreachable, NoConnection
from fleet.models import Host

CONNECTION = HTTPConnection("h", 1)
POOL = HTTPConnectionPool("h", 1)


@pytest.mark.parametrize(
    ("reason", "kind", "sentence"),
    [
        (
            ConnectTimeoutError(CONNECTION, "Connection to h timed out."),
            NoConnection,
            "no connection in time",
        ),
        (NewConnectionError(CONNECTION, "[Errno 111] Refused"), NoConnection, "Refused"),
        (ReadTimeoutError(POOL, "/", "Read timed out."), HostUnreachable, "Read timed out."),
    ],
)
def test_without_a_connection_nothing_has_arrived(
    reason: Exception, kind: type[Exception], sentence: str
) -> None:
    with pytest.raises(HostUnreachable) as raised, client.reaching(Host(name="web-1")):
        raise MaxRetryError(POOL, "/", reason)
    assert type(raised.value) is kind
    assert str(raised.value) == f"Host 'web-1' can't be reached: {sentence}"


def test_what_is_parsed_can_be_stored() -> None:
    assert client.parsed(b'{"error": "a\\u0000b"}') == {"error": "a\ufffdb"}
