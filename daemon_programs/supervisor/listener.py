"""supervisord's event listener protocol, on standard input and output.

The events carry no data: they only say that the journal has entries to fetch. Standard output is
reserved for the protocol, so all other output goes to standard error.
"""

import sys
from collections.abc import Iterator

from supervisor.childutils import get_headers
from supervisor.childutils import listener as protocol


def pokes() -> Iterator[None]:
    """Yield once for each event until supervisord has ended; the next iteration acknowledges it."""
    stdin, stdout = sys.stdin, sys.stdout
    sys.stdout = sys.stderr  # a print anywhere would break the protocol
    while True:
        protocol.ready(stdout)
        if not (header := stdin.readline()):
            return
        stdin.read(int(get_headers(header)["len"]))
        yield
        protocol.ok(stdout)
