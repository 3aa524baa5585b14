"""Run by ``test_webhook_rebinding`` in a network of its own: servers, a name server, and one delivery."""

import json
import socket
import struct
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import trustme
from django.conf import settings

import tests.conftest  # noqa: F401  (sets Django up)
from daemon_programs.webhooks.request import Connection, post
from tests.webhook_receivers import Receiver

PORT = 8443


class NameServer:
    """A name server that gives its answers to IPv4 queries in turn, and repeats the last one."""

    def __init__(self, answers: list[str]) -> None:
        self.answers = answers
        self.asked = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            query, client = self._socket.recvfrom(4096)
            end = query.index(b"\0", 12) + 5
            (kind,) = struct.unpack("!H", query[end - 4 : end - 2])
            answer = b""
            if kind == 1 and self.answers:
                address = self.answers[min(self.asked, len(self.answers) - 1)]
                self.asked += 1
                answer = struct.pack("!HHHIH", 0xC00C, 1, 1, 0, 4) + socket.inet_aton(address)
            header = query[:2] + struct.pack("!HHHHH", 0x8180, 1, 1 if answer else 0, 0, 0)
            self._socket.sendto(header + query[12:end] + answer, client)


class World:
    """Receivers at all addresses, and the name server."""

    def __init__(self, asked: dict[str, Any], stack: ExitStack) -> None:
        authority = trustme.CA()
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        settings.WEBHOOKS_CA_FILE = str(Path(folder) / "ca.pem")
        authority.cert_pem.write_to_path(settings.WEBHOOKS_CA_FILE)
        self.name_server = NameServer(asked["answers"])
        self.receivers = {
            address: stack.enter_context(Receiver(authority, *asked["names"], address=address, port=PORT))
            for address in asked["addresses"]
        }

    def deliver(self, name: str) -> dict[str, Any]:
        for receiver in self.receivers.values():
            receiver.connections = 0
            receiver.received.clear()
        outcome = post(f"https://{name}:{PORT}/hook", {}, b"{}", Connection(20))
        received = [each for receiver in self.receivers.values() for each in receiver.received]
        result = {
            "code": outcome.code,
            "error": outcome.error,
            "connections": [address for address, each in self.receivers.items() if each.connections],
            "host": received[0].headers["host"] if received else None,
            "asked": self.name_server.asked,
        }
        if self.name_server.answers:
            result["later"] = socket.gethostbyname_ex(name)[2]
        return result


def main() -> None:
    asked = json.load(sys.stdin)
    with ExitStack() as stack:
        world = World(asked, stack)
        json.dump([world.deliver(name) for name in asked["names"]], sys.stdout)


if __name__ == "__main__":
    main()
