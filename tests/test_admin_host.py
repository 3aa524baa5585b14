"""Sessions have a host name of their own: other web servers of this host never get their cookies."""

import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
import requests

from tests.admin_client import PASSWORD, PROGRAMS, AdminClient, create_users
from tests.stack import Api, Stack, temporary_stack


def test_name_can_not_be_guessed_and_stays(stack: Stack) -> None:
    name = stack.folder / "admin-host"
    assert re.fullmatch(r"[0-9a-f]{20}\.localhost\n", name.read_text())
    assert name.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_session_that_a_program_has_caught_is_worth_nothing(
    stack: Stack, api: Api, boss: AdminClient, host: str
) -> None:
    """The program knows the cookie, but not the name, which alone makes it a session."""
    id = api.add()
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in boss.session.cookies)
    csrf = next(cookie.value for cookie in boss.session.cookies if "csrf" in cookie.name)
    caught = {"Cookie": cookies, "X-CSRFToken": csrf}

    def ask(method: str, path: str, host: str) -> requests.Response:
        return requests.request(
            method,
            f"{stack.url}{path}",
            headers={**caught, "Host": f"{host}:{stack.port}"},
            allow_redirects=False,
            timeout=60,
        )

    start = f"/api/v1/daemon/programs/{id}/start"
    operate = f"/admin/{PROGRAMS}{id}/operate/"
    assert ask("GET", "/api/v1/daemon/programs", host).status_code == 401
    assert ask("POST", start, host).status_code in (401, 403)
    for method, path in (("GET", "/admin/"), ("GET", f"/admin/{PROGRAMS}{id}/change/"), ("POST", operate)):
        answer = ask(method, path, host)
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/admin/login/")
        assert "Set-Cookie" not in answer.headers
    assert api.word(id) == "stopped"
    own = stack.admin_host.partition(":")[0]
    assert ask("GET", "/api/v1/daemon/programs", own).status_code == 200, "it is a session where it belongs"
    assert ask("GET", "/admin/", own).status_code == 200


def test_login_elsewhere_says_where_it_is_without_telling_the_name(stack: Stack) -> None:
    page = requests.get(f"{stack.url}/admin/", timeout=60)
    assert page.status_code == 403
    assert "The admin has its own address" in page.text
    assert "csrfmiddlewaretoken" not in page.text
    for text in (page.text, str(page.headers), str([answer.headers for answer in page.history])):
        assert ".localhost" not in text


def test_password_is_not_taken_elsewhere(stack: Stack) -> None:
    visitor = stack.browser()
    visitor.get(f"{stack.url}/admin/login/", timeout=60)
    csrf = next(cookie.value for cookie in visitor.cookies if "csrf" in cookie.name)
    headers = {"Host": f"127.0.0.1:{stack.port}", "Cookie": f"hoody_csrf_{stack.port}={csrf}"}
    form = {"username": "boss", "password": PASSWORD, "csrfmiddlewaretoken": csrf}
    answer = requests.post(f"{stack.url}/admin/login/", form, headers=headers, timeout=60)
    assert answer.status_code == 403
    assert "session" not in answer.headers.get("Set-Cookie", "")


def test_tokens_are_valid_under_each_name(stack: Stack) -> None:
    for host in ("127.0.0.1", "localhost", stack.admin_host):
        headers = {"Authorization": f"Bearer {stack.token}", "Host": host}
        url = f"{stack.url}/api/v1/daemon/programs"
        assert requests.get(url, headers=headers, timeout=60).status_code == 200


def test_session_ends_after_a_working_day(boss: AdminClient) -> None:
    cookie = next(cookie for cookie in boss.session.cookies if "session" in cookie.name)
    assert cookie.expires is not None
    csrf = next(cookie for cookie in boss.session.cookies if "csrf" in cookie.name)
    assert csrf.expires is not None
    assert csrf.expires - cookie.expires > 300 * 86400, "the other one is for a year"


def test_names_of_the_setting_are_for_sessions_too() -> None:
    with temporary_stack(DAEMON_ALLOWED_HOSTS="daemon.example.com") as stack:
        create_users(stack.start())
        desk = AdminClient(stack)
        desk.session.cookies.clear()
        desk.session.headers["Host"] = "daemon.example.com"
        desk.session.get(f"{desk.url}login/", timeout=60)
        form = {"username": "boss", "password": PASSWORD, "next": "/admin/"}
        assert desk.post("login/", form).status_code == 302
        assert desk.get().status_code == 200


# In a browser


class Program(BaseHTTPRequestHandler):
    """A web server such as a program may be: it notes which cookies it gets."""

    cookies: list[str | None]

    def do_GET(self) -> None:
        self.cookies.append(self.headers["Cookie"])
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"a program")

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def program() -> Iterator[HTTPServer]:
    Program.cookies = []
    with HTTPServer(("127.0.0.1", 0), Program) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_browser_that_is_logged_in_sends_a_program_no_cookie(stack: Stack, program: HTTPServer) -> None:
    from playwright.sync_api import expect, sync_playwright

    from tests.console.chromium import ARGUMENTS, CHROMIUM

    if CHROMIUM is None:
        pytest.skip("no chromium: on Debian, apt install chromium")
    create_users(stack)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page()
        page.goto(f"http://{stack.admin_host}/admin/")
        page.fill("#id_username", "boss")
        page.fill("#id_password", PASSWORD)
        page.click("text=Log in")
        expect(page.locator("#site-name")).to_have_text("Daemon API")
        for host in ("127.0.0.1", "localhost"):
            page.goto(f"http://{host}:{program.server_port}/")
            expect(page.locator("body")).to_have_text("a program")
        page.goto(f"http://{stack.admin_host}/admin/")
        expect(page.locator("#site-name")).to_have_text("Daemon API")
        browser.close()
    assert set(Program.cookies) == {None}
