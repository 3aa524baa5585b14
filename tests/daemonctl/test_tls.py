"""A daemon behind TLS: its certificate must be trusted before it gets the token."""

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import trustme
from click.testing import CliRunner

from daemonctl.cli import main


class _Daemon(BaseHTTPRequestHandler):
    tokens: list[str | None] = []

    def do_GET(self) -> None:
        self.tokens.append(self.headers["Authorization"])
        body = b'{"programs": []}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def port(authority: trustme.CA) -> Iterator[int]:
    """The port of a server with a certificate of the authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    _Daemon.tokens.clear()
    with HTTPServer(("localhost", 0), _Daemon) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_token_goes_only_to_a_daemon_that_is_trusted(
    authority: trustme.CA, port: int, tmp_path: Path
) -> None:
    token, ca = tmp_path / "token", tmp_path / "ca.pem"
    token.write_text("hdt_secret\n")
    authority.cert_pem.write_to_path(str(ca))
    runner = CliRunner(env={"XDG_CONFIG_HOME": str(tmp_path)})
    given = ["context", "add", "far", f"https://localhost:{port}", "--token-file", str(token)]
    assert runner.invoke(main, given).exit_code == 0
    refused = runner.invoke(main, ["status"])
    assert refused.exit_code == 4
    assert "certificate verify failed" in refused.output
    assert _Daemon.tokens == []
    assert runner.invoke(main, [*given, "--ca", str(ca)]).exit_code == 0
    assert runner.invoke(main, ["status"]).output == "No programs.\n"
    assert _Daemon.tokens == ["Bearer hdt_secret"]
