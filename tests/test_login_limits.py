"""Failed logins and tokens are limited for each client address separately."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from django.http import HttpRequest

from hoody_site.access.attempts import Attempts, client_address
from tests.admin_client import PASSWORD, create_users
from tests.stack import Stack, temporary_stack

MOST = 10
SENTENCE = "Too many failed attempts from this address; try again later"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def attempts(clock: Clock) -> Attempts:
    return Attempts(max_failures=3, window=60, max_clients=5, clock=clock)


def test_so_many_failures_are_free_and_the_next_has_to_wait(attempts: Attempts, clock: Clock) -> None:
    assert [attempts.count("login", "a") for _ in range(5)] == [0, 0, 0, 60, 60]
    clock.now += 59.5
    assert attempts.count("login", "a") == 1
    clock.now += 0.5
    assert [attempts.count("login", "a") for _ in range(4)] == [0, 0, 0, 60]


def test_addresses_and_kinds_are_counted_apart(attempts: Attempts) -> None:
    for _ in range(4):
        attempts.count("login", "a")
    assert (attempts.count("login", "a"), attempts.count("login", "b"), attempts.count("token", "a")) == (
        60,
        0,
        0,
    )


def test_success_forgets_what_failed_before(attempts: Attempts) -> None:
    for _ in range(4):
        attempts.count("login", "a")
    attempts.reset("login", "a")
    attempts.reset("login", "never seen")
    assert attempts.count("login", "a") == 0


def test_so_many_clients_are_remembered_the_latest_ones(attempts: Attempts) -> None:
    for _ in range(4):
        attempts.count("login", "busy")
    for number in range(1000):
        attempts.count("login", str(number))
        attempts.count("login", "busy")
    assert len(attempts._failures) == 5
    assert attempts.count("login", "busy") == 60
    assert attempts.count("login", "999") == 0


def request(address: str, forwarded: str | None = None) -> HttpRequest:
    made = HttpRequest()
    made.META = {"REMOTE_ADDR": address}
    if forwarded is not None:
        made.META["HTTP_X_FORWARDED_FOR"] = forwarded
    return made


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", ""),
        ("x" * 1000, "x" * 64),
    ],
)
def test_client_is_an_address_or_a_network_of_one(address: str, client: str) -> None:
    assert client_address(request(address)) == client


def test_what_a_client_says_about_its_address_is_not_believed(settings: Any) -> None:
    settings.HTTPS = False
    assert client_address(request("127.0.0.1", "192.0.2.9")) == "127.0.0.1"
    settings.HTTPS = True  # behind a proxy: what that has added itself
    assert client_address(request("127.0.0.1", "192.0.2.9")) == "192.0.2.9"
    assert client_address(request("127.0.0.1", "192.0.2.7, 192.0.2.8,192.0.2.9")) == "192.0.2.9"
    assert client_address(request("127.0.0.1")) == "127.0.0.1"


# At a running stack, which takes each address of 127.0.0.0/8 for another client


@pytest.fixture(scope="module")
def other() -> Iterator[Stack]:
    with temporary_stack() as stack:
        create_users(stack.start())
        yield stack


class Client(requests.Session):
    """A client at an address of its own."""

    def __init__(self, stack: Stack, address: str) -> None:
        super().__init__()
        self.trust_env = False
        self.stack = stack
        adapter = requests.adapters.HTTPAdapter()
        adapter.init_poolmanager(10, 10, source_address=(address, 0))
        self.mount("http://", adapter)

    def log_in(self, password: str = "wrong", name: str = "boss", next: str = "/admin/") -> requests.Response:
        url = f"{self.stack.url}/admin/login/"
        csrf = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.get(url).text)
        assert csrf
        form = {"username": name, "password": password, "csrfmiddlewaretoken": csrf[1], "next": next}
        return self.post(url, form, allow_redirects=False)

    def programs(self, token: str) -> requests.Response:
        url = f"{self.stack.url}/api/v1/daemon/programs"
        return self.get(url, headers={"Authorization": f"Bearer {token}"})


def test_client_that_fails_too_often_has_to_wait_even_with_the_right_password(other: Stack) -> None:
    attacker = Client(other, "127.0.1.1")
    for number in range(MOST):
        assert attacker.log_in(name=f"user{number}").status_code == 200
    refused = attacker.log_in(PASSWORD)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 300
    assert SENTENCE in refused.text
    assert refused.headers["Content-Type"].startswith("text/html")
    assert "sessionid" not in str(refused.cookies)
    assert attacker.programs(other.token).status_code == 200, "a valid token is asked for nothing"

    administrator = Client(other, "127.0.1.2")
    assert administrator.log_in(PASSWORD).status_code == 302
    assert administrator.get(f"{other.url}/admin/").status_code == 200


def test_successful_login_resets_the_count(other: Stack) -> None:
    person = Client(other, "127.0.1.3")
    for _ in range(2):
        for _ in range(MOST - 1):
            assert person.log_in().status_code == 200
        assert person.log_in(PASSWORD).status_code == 302
        person.cookies.clear()


def test_wrong_tokens_have_to_wait_and_right_ones_do_not(other: Stack) -> None:
    client = Client(other, "127.0.1.4")
    assert {client.programs("wrong").status_code for _ in range(MOST)} == {401}
    for _ in range(2):
        refused = client.programs("wrong")
        assert refused.status_code == 429
        assert refused.json() == {"success": False, "error": SENTENCE, "code": "too_many_attempts"}
        assert 0 < int(refused.headers["Retry-After"]) <= 300
    assert client.programs(other.token).status_code == 200
    assert Client(other, "127.0.1.5").programs("wrong").status_code == 401


@pytest.mark.parametrize(
    "next", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x"]
)
def test_login_leads_to_this_host_only(other: Stack, next: str) -> None:
    answer = Client(other, "127.0.1.6").log_in(PASSWORD, next=next)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")
