"""Receivers of webhooks for tests: real servers, with certificates of a CA of their own."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import trustme
from standardwebhooks import Webhook

from tests.stack import eventually


@dataclass(frozen=True)
class Received:
    """One request, as it came in."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.monotonic)

    @property
    def payload(self) -> dict[str, Any]:
        return json.loads(self.body)  # type: ignore[no-any-return]

    @property
    def event(self) -> str:
        return str(self.payload["event"])

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def verify(self, secret: str) -> None:
        """Verify the signature with the public library, as a receiver would; raise if it is wrong."""
        Webhook(secret).verify(self.body, self.headers)


# How a receiver answers a request: with a status, or by a function.
Answer = int | Callable[[BaseHTTPRequestHandler], None]


class Receiver:
    """A webhook receiver on a port of its own.

    ``answers`` holds the answers to the next requests, ``at`` those by path; otherwise the answer is 204.
    """

    def __init__(
        self,
        authority: trustme.CA | None = None,
        *names: str,
        address: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.received: list[Received] = []
        self.connections = 0
        self.answers: list[Answer] = []
        self.at: dict[str, Answer] = {}
        self.always: Answer = 204
        self._tls = _context(authority, names or ("localhost", "127.0.0.1")) if authority else None
        self._server = _Server((address, port), _handler(self))
        self._server.receiver = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.05], daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._server.is_over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def url(self, path: str = "/hook", host: str = "localhost") -> str:
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}{path}"

    def until(self, number: int, timeout: float = 20.0) -> list[Received]:
        """Wait for ``number`` requests, and return them."""
        eventually(lambda: len(self.received) >= number, timeout, f"{number} requests, not {self.received}")
        return self.received

    def wait(self, seconds: float) -> bool:
        """Wait within an answer; return False once the server is being closed."""
        return not self._server.is_over.wait(seconds)

    def stay_silent(self, handler: BaseHTTPRequestHandler) -> None:
        """Never answer."""
        self.wait(120)

    def hesitate(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer well, but late."""
        self.wait(1.5)
        status(handler, 204)

    def encrypted(self, connection: Any) -> Any:
        self.connections += 1
        return self._tls.wrap_socket(connection, server_side=True) if self._tls else connection


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    receiver: Receiver

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.is_over = threading.Event()
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            request = self.receiver.encrypted(request)
        except OSError:  # a client that doesn't like the certificate
            request.close()
            return
        super().process_request_thread(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that have gone."""


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.received.append(Received(self.path, headers, body))
            usual = receiver.at.get(self.path, receiver.always)
            answer = receiver.answers.pop(0) if receiver.answers else usual
            if callable(answer):
                answer(self)
                self.close_connection = True
            else:
                status(self, answer)

        def log_message(self, *arguments: Any) -> None:
            pass

    return Handler


def status(handler: BaseHTTPRequestHandler, code: int, **headers: str) -> None:
    handler.send_response(code)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def with_headers(code: int, **headers: str) -> Answer:
    return lambda handler: status(handler, code, **headers)


def _context(authority: trustme.CA, names: tuple[str, ...]) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(context)
    return context


class Trust:
    """Certificates that a stack trusts, and a configured proxy that it must not use."""

    def __init__(self, folder: Path, proxy: Receiver) -> None:
        self.authority = trustme.CA()
        self.file = folder / "ca.pem"
        self.authority.cert_pem.write_to_path(str(self.file))
        self.proxy = proxy

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of a stack that delivers to receivers on this host."""
        names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
        return {
            "DAEMON_WEBHOOKS_DEVELOPMENT": "true",
            "DAEMON_WEBHOOKS_CA_FILE": str(self.file),
            "SPT_NOENV": "1",  # titles of processes don't overwrite their environments, which a test reads
            **dict.fromkeys(names, f"http://127.0.0.1:{self.proxy.port}"),
        }

    def receiver(self) -> Receiver:
        return Receiver(self.authority)
