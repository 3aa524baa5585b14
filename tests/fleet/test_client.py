"""What requests to hosts make of answers that a daemon would not give."""

import os
import socket
import ssl
from typing import Any

import pytest
import trustme

from fleet import client
from fleet.exceptions import HostUnreachable, NoConnection, NotADaemon
from fleet.models import Host
from tests.fleet.scripted_hosts import ScriptedHost, answer

AUTHORITY = trustme.CA()
PEM = AUTHORITY.cert_pem.bytes().decode()


def ask(url: str, ca: str = "") -> client.Answer:
    host = Host(name="web-1", url=url, ca=ca)
    headers = {"On-Behalf-Of": "alice"}
    return client.call(host, "GET", "health", with_token=False, headers=headers, seconds=5)


def context() -> ssl.SSLContext:
    of_server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("127.0.0.1").configure_cert(of_server)
    return of_server


def break_tls(line: socket.socket) -> None:
    """Answer with what is no TLS, past the connection that was agreed on."""
    with socket.socket(fileno=os.dup(line.fileno())) as plain:
        plain.sendall(b"HTTP/1.1 200 OK\r\n\r\n")


def test_a_request_that_was_sent_may_have_arrived_whatever_fails_afterwards() -> None:
    with ScriptedHost(break_tls, context=context()) as host:
        with pytest.raises(HostUnreachable) as problem:
            ask(host.url, PEM)
        assert len(host.requests) == 1
    assert not isinstance(problem.value, NoConnection)


def test_nothing_is_sent_to_a_host_with_another_certificate() -> None:
    with ScriptedHost(answer(), context=context()) as host:
        with pytest.raises(NoConnection):
            ask(host.url, trustme.CA().cert_pem.bytes().decode())
        assert not host.requests


def test_nothing_is_sent_without_a_connection() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as silent:
        port = silent.getsockname()[1]
    with pytest.raises(NoConnection):
        ask(f"http://127.0.0.1:{port}")


def test_a_connection_that_takes_too_long_has_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*given: Any, **options: Any) -> socket.socket:
        raise TimeoutError

    monkeypatch.setattr("urllib3.util.connection.create_connection", hang)
    with pytest.raises(NoConnection):
        ask("http://127.0.0.1:9")


def test_the_authority_of_a_host_holds_for_a_scheme_in_capitals() -> None:
    with ScriptedHost(answer(), context=context()) as host:
        assert ask(host.url.replace("https", "HTTPS"), PEM).is_ok


def test_no_answer_fills_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MOST_BYTES", 100)
    with ScriptedHost(answer(b'"%s"' % (b"x" * 98)), answer(b'"%s"' % (b"x" * 99))) as host:
        assert ask(host.url).document == "x" * 98
        with pytest.raises(HostUnreachable, match="The answer of host 'web-1' is too long"):
            ask(host.url)


def test_an_answer_that_ends_too_early_is_none() -> None:
    def cut(line: socket.socket) -> None:
        answer(b"{}", Content_Length="10")(line)
        line.shutdown(socket.SHUT_RDWR)

    with ScriptedHost(cut) as host, pytest.raises(HostUnreachable):
        ask(host.url)


def test_a_status_that_does_not_exist_is_none_of_a_daemon() -> None:
    with ScriptedHost(answer(status="999 What")) as host, pytest.raises(NotADaemon, match="status 999"):
        ask(host.url)
