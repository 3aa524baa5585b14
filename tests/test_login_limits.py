"""Failed logins and tokens are limited for each client and each account, and for no others."""

import ipaddress
import re
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import requests
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.http import HttpRequest

from hoody_site.access.attempts import Attempts, Familiar, client_address
from hoody_site.access.failures import FailureLog
from tests.admin_client import PASSWORD, create_users
from tests.stack import PROJECT, Stack, eventually, temporary_stack

MOST = 10
PASSWORDS = "Too many failed attempts from this address or for this user; try again later"
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
    assert [attempts.count(("login", "a")) for _ in range(5)] == [0, 0, 0, 60, 60]
    clock.now += 59.5
    assert attempts.count(("login", "a")) == 1
    clock.now += 0.5
    assert [attempts.count(("login", "a")) for _ in range(4)] == [0, 0, 0, 60]


def test_addresses_and_kinds_are_counted_apart(attempts: Attempts) -> None:
    for _ in range(4):
        attempts.count(("login", "a"))
    assert (
        attempts.count(("login", "a")),
        attempts.count(("login", "b")),
        attempts.count(("token", "a")),
    ) == (
        60,
        0,
        0,
    )


def test_success_forgets_what_failed_before(attempts: Attempts) -> None:
    for _ in range(4):
        attempts.count(("login", "a"))
    attempts.reset("login", "a")
    attempts.reset("login", "never seen")
    assert attempts.count(("login", "a")) == 0


def test_so_many_clients_are_remembered_the_latest_ones(attempts: Attempts) -> None:
    for _ in range(4):
        attempts.count(("login", "busy"))
    for number in range(1000):
        attempts.count(("login", str(number)))
        attempts.count(("login", "busy"))
    assert len(attempts._failures) == 5
    assert attempts.count(("login", "busy")) == 60
    assert attempts.count(("login", "999")) == 0


def test_attempt_counts_for_each_of_its_counters_or_for_none(attempts: Attempts) -> None:
    client, account = ("login", "a"), ("account", "admin")
    for _ in range(3):
        assert attempts.count(("login", "b"), account) == 0
    assert attempts.count(client, account) == 60
    assert [attempts.count(client) for _ in range(4)] == [0, 0, 0, 60], "what was refused is not counted"


def test_failures_are_taken_back_but_not_those_of_others(attempts: Attempts) -> None:
    counter = ("login", "a")
    for _ in range(3):
        attempts.count(counter)
    attempts.take_back(counter, 1)
    attempts.take_back(("login", "never seen"), 1)
    assert [attempts.count(counter) for _ in range(2)] == [0, 60]
    attempts.take_back(counter, 100)
    assert [attempts.count(counter) for _ in range(4)] == [0, 0, 0, 60]


def test_so_many_clients_of_accounts_are_remembered() -> None:
    familiar = Familiar(most=2)
    for pair in ("a", "b", "a", "c"):
        familiar.add(pair)
    assert ["a" in familiar, "b" in familiar, "c" in familiar] == [True, False, True]


def test_failures_are_logged_once_a_minute_with_their_number(caplog: pytest.LogCaptureFixture) -> None:
    log = FailureLog(interval=0.2)
    for number in range(1000):
        log.add("failed logins", f"192.0.2.{number % 200}")
    log.add("tokens that are not valid", "192.0.2.9")
    assert lines(caplog) == ["Since the last such line: 1 failed logins; the latest from 192.0.2.0"]
    eventually(lambda: len(lines(caplog)) == 2)
    assert lines(caplog)[1] == (
        "Since the last such line: 999 failed logins, 1 tokens that are not valid; the latest from 192.0.2.9"
    )
    eventually(lambda: not log._is_waiting, what="a quiet minute is over")
    assert len(lines(caplog)) == 2


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


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
        ("127.0.0.1", "127.0.0.1"),
        ("127.200.3.4", "127.0.0.1"),
        ("::ffff:127.9.9.9", "127.0.0.1"),
        ("::1", "127.0.0.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("x" * 1000, ""),
    ],
)
def test_client_is_an_address_or_a_network_of_one(address: str, client: str) -> None:
    assert client_address(request(address)) == client


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("127.0.0.1", "192.0.2.9", "192.0.2.9"),
        ("127.0.0.1", "192.0.2.7, 192.0.2.8,192.0.2.9", "192.0.2.9"),
        ("127.0.0.1", "192.0.2.7, 127.0.0.1", "192.0.2.7"),
        ("127.0.0.1", "192.0.2.7, nonsense", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1, 127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", None, "127.0.0.1"),
        ("192.0.2.1", "192.0.2.9", "192.0.2.1"),
        ("2001:db8::1", "192.0.2.9", "2001:db8::/64"),
    ],
)
def test_forwarded_address_is_believed_from_loopback_only(
    settings: Any, peer: str, forwarded: str | None, client: str
) -> None:
    settings.HTTPS = True
    assert client_address(request(peer, forwarded)) == client
    settings.HTTPS = False
    assert client_address(request("127.0.0.1", forwarded)) == "127.0.0.1"


def test_forwarded_address_is_believed_from_the_proxies_of_the_setting(settings: Any) -> None:
    settings.TRUSTED_PROXIES = [ipaddress.ip_network("192.0.2.0/28"), ipaddress.ip_network("2001:db8::5")]
    for peer in ("192.0.2.1", "::ffff:192.0.2.1", "2001:db8::5"):
        assert client_address(request(peer, "198.51.100.1")) == "198.51.100.1"
    assert client_address(request("127.0.0.1", "198.51.100.1")) == "127.0.0.1", "the list replaces loopback"
    assert client_address(request("192.0.2.99", "198.51.100.1")) == "192.0.2.99"
    assert client_address(request("192.0.2.1", "198.51.100.1, 192.0.2.2")) == "198.51.100.1"


# At a running stack, to which clients come by a proxy


@pytest.fixture(scope="module")
def other() -> Iterator[Stack]:
    """A stack that hashes passwords quickly: these tests try more than a hundred."""
    quickly = str(PROJECT / "tests" / "quick_hashes")
    with temporary_stack(DAEMON_TRUSTED_PROXIES="127.0.0.1", PYTHONPATH=quickly) as stack:
        create_users(stack.start(), PBKDF2PasswordHasher.iterations // 20)
        yield stack


class Client(requests.Session):
    """A client at an address of its own: behind the proxy, or on this host."""

    def __init__(self, stack: Stack, address: str) -> None:
        super().__init__()
        self.trust_env = False
        self.stack = stack
        self.headers["Host"] = stack.admin_host
        if address.startswith("127."):
            adapter = requests.adapters.HTTPAdapter()
            adapter.init_poolmanager(10, 10, source_address=(address, 0))
            self.mount("http://", adapter)
        else:
            self.headers["X-Forwarded-For"] = address

    def log_in(self, password: str = "wrong", name: str = "boss", next: str = "/admin/") -> requests.Response:
        url = f"{self.stack.url}/admin/login/"
        csrf = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.get(url).text)
        assert csrf
        form = {"username": name, "password": password, "csrfmiddlewaretoken": csrf[1], "next": next}
        return self.post(url, form, allow_redirects=False)

    def change_password(self, old: str) -> requests.Response:
        url = f"{self.stack.url}/admin/password_change/"
        csrf = next(cookie.value for cookie in self.cookies if "csrf" in cookie.name)
        new = {"new_password1": f"{PASSWORD}-new", "new_password2": "another"}  # which are never taken
        return self.post(url, {"csrfmiddlewaretoken": csrf, "old_password": old, **new})

    def programs(self, token: str) -> requests.Response:
        url = f"{self.stack.url}/api/v1/daemon/programs"
        return self.get(url, headers={"Authorization": f"Bearer {token}"})


def test_client_that_fails_too_often_has_to_wait_even_with_the_right_password(other: Stack) -> None:
    attacker = Client(other, "192.0.2.1")
    for number in range(MOST):
        assert attacker.log_in(name=f"user{number}").status_code == 200
    refused = attacker.log_in(PASSWORD)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 300
    assert PASSWORDS in refused.text
    assert refused.headers["Content-Type"].startswith("text/html")
    assert "sessionid" not in str(refused.cookies)
    assert attacker.programs(other.token).status_code == 200, "a valid token is asked for nothing"

    administrator = Client(other, "192.0.2.2")
    assert administrator.log_in(PASSWORD).status_code == 302
    assert administrator.get(f"{other.url}/admin/").status_code == 200


def test_successful_login_resets_the_count(other: Stack) -> None:
    person = Client(other, "192.0.2.3")
    for _ in range(2):
        for _ in range(MOST - 1):
            assert person.log_in().status_code == 200
        assert person.log_in(PASSWORD).status_code == 302
        person.cookies.clear()


def test_wrong_tokens_have_to_wait_and_right_ones_do_not(other: Stack) -> None:
    client = Client(other, "192.0.2.4")
    assert {client.programs("wrong").status_code for _ in range(MOST)} == {401}
    for _ in range(2):
        refused = client.programs("wrong")
        assert refused.status_code == 429
        assert refused.json() == {"success": False, "error": SENTENCE, "code": "too_many_attempts"}
        assert 0 < int(refused.headers["Retry-After"]) <= 300
    assert client.programs(other.token).status_code == 200
    assert Client(other, "192.0.2.5").programs("wrong").status_code == 401


def test_addresses_of_loopback_are_one_client(other: Stack) -> None:
    for number in range(MOST):
        client = Client(other, f"127.0.{number}.{number + 2}")
        client.headers["X-Forwarded-For"] = f"192.0.2.{number + 100}"  # from there it is not believed
        assert client.log_in(name=f"user{number}").status_code == 200
    assert Client(other, "127.9.9.9").log_in(PASSWORD).status_code == 429


def test_account_is_counted_whatever_the_address(other: Stack) -> None:
    known = Client(other, "192.0.2.20")
    assert known.log_in(PASSWORD, "operator").status_code == 302
    spellings = ["operator", " operator", "operator\t", "ｏｐｅｒａｔｏｒ", "OPERATOR".lower()]
    for number in range(MOST):
        name = spellings[number % len(spellings)]
        assert Client(other, f"198.51.100.{number}").log_in(name=name).status_code == 200
    refused = Client(other, "198.51.100.99").log_in(PASSWORD, "operator")
    assert refused.status_code == 429
    assert PASSWORDS in refused.text
    assert Client(other, "198.51.100.98").log_in(PASSWORD, "viewer").status_code == 302
    known.cookies.clear()
    assert known.log_in(PASSWORD, "operator").status_code == 302, "others can't keep its user out"


def test_session_does_not_lift_the_limit(other: Stack) -> None:
    person = Client(other, "192.0.2.30")
    assert person.log_in(PASSWORD, "viewer").status_code == 302
    assert [guess(person).status_code for _ in range(MOST + 1)] == [200] * MOST + [429]


def test_logging_in_with_an_own_account_does_not_lift_the_limit(other: Stack) -> None:
    person = Client(other, "192.0.2.40")
    for _ in range(MOST):
        assert guess(person, "starter").status_code == 200
        person.cookies.clear()
        answer = person.log_in(PASSWORD, "viewer")
    assert answer.status_code == 429


def guess(client: Client, name: str = "changer") -> requests.Response:
    """Try a password at the form that the session of another user has open."""
    url = f"{client.stack.url}/admin/login/"
    if not any("csrf" in cookie.name for cookie in client.cookies):
        client.get(url)
    csrf = next(cookie.value for cookie in client.cookies if "csrf" in cookie.name)
    form = {"username": name, "password": "wrong", "csrfmiddlewaretoken": csrf, "next": "/admin/"}
    return client.post(url, form, allow_redirects=False)


def test_changing_the_password_is_limited_too(other: Stack) -> None:
    person = Client(other, "192.0.2.50")
    assert person.log_in(PASSWORD, "registrar").status_code == 302
    for _ in range(MOST - 1):
        assert "was entered incorrectly" in person.change_password("wrong").text
    right = person.change_password(PASSWORD)
    assert right.status_code == 200
    assert "entered incorrectly" not in right.text
    assert [person.change_password("wrong").status_code for _ in range(MOST + 1)] == [200] * MOST + [429]
    refused = person.change_password(PASSWORD)
    assert refused.status_code == 429
    assert PASSWORDS in refused.text


def test_simultaneous_attempts_do_not_exceed_the_limit(other: Stack) -> None:
    client = Client(other, "192.0.2.60")
    client.get(f"{other.url}/admin/login/")
    answers: list[int] = []
    threads = [
        threading.Thread(
            target=lambda number: answers.append(guess(client, f"n{number}").status_code), args=[n]
        )
        for n in range(MOST + 5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] * MOST + [429] * 5


def test_log_of_the_api_has_one_line_for_many_failures(other: Stack) -> None:
    log = (other.folder / "stack-logs" / "api.log").read_text()
    written = re.findall(r"^(\S+ \S+),\d+ .*Since the last such line: .*; the latest from \S+$", log, re.M)
    times = [datetime.fromisoformat(each) for each in written]
    assert times, log
    assert all(after - before >= timedelta(seconds=59) for before, after in pairwise(times)), log
    assert "user0" not in log


@pytest.mark.parametrize(
    "next", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x"]
)
def test_login_leads_to_this_host_only(other: Stack, next: str) -> None:
    answer = Client(other, "192.0.2.6").log_in(PASSWORD, next=next)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")
