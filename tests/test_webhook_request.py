"""Nothing is ever delivered to an address that is not out on the internet, however it is spelled.

What a name resolves to is the business of ``test_webhook_rebinding``.
"""

import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon_programs.webhooks.request import Connection, post
from tests import webhook_programs
from tests.stack import Api, Stack
from tests.test_settings import check
from tests.test_webhook_addresses import ADDRESSES, NAMES
from tests.webhook_receivers import Receiver


@pytest.fixture
def trap() -> Iterator[Receiver]:
    """A receiver on this host, which all its addresses reach; no connection may be made."""
    with Receiver() as listener:
        yield listener
        assert listener.connections == 0


@pytest.mark.parametrize("host", [*ADDRESSES, *NAMES], ids=ascii)
def test_request_to_what_is_not_out_on_the_internet_is_not_made(host: str, trap: Receiver) -> None:
    for scheme in ("https", "http"):
        outcome = post(f"{scheme}://{host}:{trap.port}/", {}, b"{}", Connection(5))
        assert outcome.code is None
        assert str(outcome.error).startswith("Field 'webhooks' urls ")


def test_block_that_was_saved_unchecked_delivers_nothing_to_a_private_address(
    api: Api, stack: Stack, trap: Receiver
) -> None:
    """As if it had been saved before the rules were what they are, or by another hand."""
    urls = [f"https://{host}:{trap.port}/hook" for host in (*ADDRESSES, *NAMES)]
    urls += [f"http://localhost:{trap.port}", f"http://127.0.0.1:{trap.port}"]
    id = api.add(webhook_programs.LONG_RUNNING)
    block = {"enabled": True, "urls": urls, "events": ["STARTING"], "headers": {}, "timeout": 5, "retry": 0}
    webhook_programs.run(
        stack,
        "import json; from daemon_programs.models import Program;"
        f"Program.objects.filter(pk={id}).update(webhooks=json.loads({json.dumps(block)!r}))",
    )
    webhook_programs.start(api, id)
    found = webhook_programs.settled(api, id, len(urls), timeout=60)
    assert len(found) == len(urls)
    for delivery in found:
        assert delivery["state"] == "failed", delivery
        assert delivery["error"].startswith("Field 'webhooks' urls "), delivery
        assert "code" not in delivery["attempts"][0]


def test_development_setting_allows_loopback_and_nothing_else(settings: Any, trap: Receiver) -> None:
    settings.WEBHOOKS_DEVELOPMENT = True
    with Receiver() as allowed:
        assert post(f"http://127.0.0.1:{allowed.port}/", {}, b"{}", Connection(5)).error is None
        assert len(allowed.received) == 1
    for host in ("10.0.0.1", "169.254.169.254", "0.0.0.0", "[::]", "100.64.0.1", "metadata.google.internal"):
        assert "must not point to" in str(post(f"http://{host}:{trap.port}/", {}, b"{}", Connection(5)).error)


def test_name_that_does_not_exist_is_a_failed_attempt() -> None:
    outcome = post("https://does-not-exist.invalid/", {}, b"{}", Connection(20))
    assert outcome.error in ("Its name can't be resolved", "No whole answer within 20 seconds")


def test_address_that_leads_nowhere_ends_with_the_time_out(settings: Any) -> None:
    """Connections are made to a listener whose queue is full: they hang, as towards a dead host."""
    settings.WEBHOOKS_DEVELOPMENT = True
    with socket.socket() as deaf, socket.socket() as first, socket.socket() as second:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(deaf.getsockname())
        outcome = post(f"http://127.0.0.1:{deaf.getsockname()[1]}/", {}, b"{}", Connection(1))
    # Whichever of two clocks, both set to that second, comes first.
    assert outcome.error in ("No whole answer within 1 seconds", "It can't be reached in time")
    assert 900 < outcome.milliseconds < 5000


def test_connection_that_is_aborted_ends_the_request_at_once(settings: Any) -> None:
    settings.WEBHOOKS_DEVELOPMENT = True
    connection = Connection(50)
    with Receiver() as slow:
        slow.always = lambda handler: connection.abort()
        outcome = post(f"http://127.0.0.1:{slow.port}/", {}, b"{}", connection)
    assert outcome.code is None
    assert outcome.milliseconds < 20_000


def test_connection_that_was_aborted_before_it_began_connects_nowhere(settings: Any, trap: Receiver) -> None:
    settings.WEBHOOKS_DEVELOPMENT = True
    connection = Connection(5)
    connection.abort()
    assert post(f"http://127.0.0.1:{trap.port}/", {}, b"{}", connection).code is None


@pytest.mark.parametrize("content", [None, "", "no certificate", "-----BEGIN CERTIFICATE-----\nx\n"])
def test_start_is_refused_without_the_certificates_that_are_named(
    tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    said = check(DAEMON_WEBHOOKS_CA_FILE=str(file))
    assert "hoody.E005" in said
    assert str(file) in said


def test_file_of_certificates_is_named_by_an_absolute_path() -> None:
    said = check(DAEMON_WEBHOOKS_CA_FILE="ca.pem")
    assert "hoody.E001" in said
    assert "must be an absolute path" in said


def test_python_verifies_names_and_certificates_by_default() -> None:
    """What `webhook_request` builds on."""
    context = ssl.create_default_context()
    assert context.check_hostname
    assert context.verify_mode == ssl.CERT_REQUIRED
