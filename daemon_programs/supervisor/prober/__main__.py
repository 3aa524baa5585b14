"""Run the prober: ``python -m daemon_programs.supervisor.prober SOCKET [HOST…]``.

The socket is the plugin's; the hosts are those that may be probed in addition to loopback.
"""

import asyncio
import signal
import sys

from daemon_programs.supervisor.prober.session import Session


async def main(path: str, hosts: list[str]) -> None:
    """Probe until SIGTERM; what is under way is ended then."""
    session = asyncio.ensure_future(Session(hosts).run(path))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, session.cancel)
    try:
        await session
    except asyncio.CancelledError:
        return


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
