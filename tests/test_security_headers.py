"""What browsers are told, and what `check --deploy` says."""

import subprocess
import sys
from typing import Any

import pytest
import requests

from tests.stack import PROJECT, Api, Stack, temporary_stack

PAGES = ("/admin/login/", "/api/docs/")
OTHERS = (
    "/api/v1/daemon/health",
    "/api/v1/daemon/programs",
    "/api/v1/daemon/nothing",
    "/api/schema/",
    "/api/programs.schema.json",
    "/static/admin/css/base.css",
    "/nothing",
)


def get(stack: Stack, path: str, **headers: str) -> requests.Response:
    return requests.get(f"{stack.url}{path}", headers=headers, timeout=60, allow_redirects=False)


def directives(answer: requests.Response) -> dict[str, str]:
    policy = answer.headers["Content-Security-Policy"]
    return dict(part.strip().partition(" ")[::2] for part in policy.split(";"))


@pytest.mark.parametrize("path", [*PAGES, *OTHERS])
def test_every_answer_is_kept_from_other_sites(stack: Stack, path: str) -> None:
    headers = get(stack, path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "Strict-Transport-Security" not in headers
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize("path", PAGES)
def test_pages_run_what_this_host_serves_and_nothing_written_into_them(stack: Stack, path: str) -> None:
    policy = directives(get(stack, path))
    assert policy["default-src"] == "'self'"
    assert "script-src" not in policy
    assert policy["form-action"] == "'self'"
    assert policy["base-uri"] == "'none'"


def test_browsable_api_is_a_page_too(api: Api, stack: Stack) -> None:
    answer = api.session.get(f"{api.base}/programs", headers={"Accept": "text/html"}, timeout=60)
    assert directives(answer)["default-src"] == "'self'"


@pytest.mark.parametrize("path", [path for path in OTHERS if path.startswith("/api")])
def test_what_is_no_page_may_do_nothing(stack: Stack, path: str) -> None:
    assert directives(get(stack, path, Accept="application/json"))["default-src"] == "'none'"


def test_pages_can_not_be_framed(stack: Stack) -> None:
    assert get(stack, "/admin/login/").headers["X-Frame-Options"] == "DENY"


@pytest.fixture(scope="module")
def behind_proxy() -> Any:
    with temporary_stack(DAEMON_HTTPS="true") as stack:
        yield stack.start()


def test_behind_a_proxy_browsers_stay_with_https(behind_proxy: Stack) -> None:
    own = {"Host": behind_proxy.admin_host}
    answer = get(behind_proxy, "/admin/login/", **own, **{"X-Forwarded-Proto": "https"})
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    cookie = answer.headers["Set-Cookie"]
    assert "Secure" in cookie
    assert "SameSite=Lax" in cookie
    plain = get(behind_proxy, "/admin/login/")
    assert "Strict-Transport-Security" not in plain.headers


@pytest.mark.parametrize("https", ["", "true"])
def test_check_deploy_is_clean(stack: Stack, https: str) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "INFO"],
        cwd=PROJECT,
        env={**stack.env, "DAEMON_HTTPS": https},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout
