"""supervisord's listener protocol, on standard input and output.

The events say nothing but that there is something to fetch, so this is all that there is to it.
Standard output belongs to the protocol; everything else is said on standard error.
"""

import sys
from collections.abc import Iterator

from supervisor.childutils import get_headers
from supervisor.childutils import listener as protocol


def pokes() -> Iterator[None]:
    """One for each event, until supervisord has gone. The next is asked for when one is dealt with."""
    stdin, stdout = sys.stdin, sys.stdout
    sys.stdout = sys.stderr  # a stray print must not reach the protocol
    while True:
        protocol.ready(stdout)
        if not (header := stdin.readline()):
            return
        stdin.read(int(get_headers(header)["len"]))
        yield
        protocol.ok(stdout)
