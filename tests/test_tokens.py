"""API tokens: hashed, rotated, expired; never in an address."""

import hashlib
import re
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.utils import timezone

from hoody_site.access.models import ApiToken
from hoody_site.access.uses import Uses
from tests import database
from tests.admin_client import TOKENS, AdminClient, create_users
from tests.stack import Api, Stack, eventually, temporary_stack


@pytest.fixture(scope="module")
def other() -> Iterator[Stack]:
    with temporary_stack() as stack:
        yield stack.start()


def printed(stack: Stack, *arguments: str) -> str:
    done = stack.manage(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def complaint(stack: Stack, *arguments: str) -> str:
    done = stack.manage(*arguments)
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr.strip().removeprefix("CommandError: ")


def code(api: Api) -> int:
    return api.get("programs").status_code


def rows(stack: Stack, sql: str) -> list[tuple[object, ...]]:
    with database.opened(stack.folder) as opened:
        return opened.execute(sql).fetchall()  # type: ignore[no-any-return]


def set_expiry(stack: Stack, name: str, after: timedelta) -> None:
    with database.opened(stack.folder) as opened:
        at = (datetime.now(UTC) + after).strftime(f"%Y-%m-%d %H:%M:%S{database.UTC}")
        opened.execute("UPDATE hoody_site_apitoken SET expires_at = ? WHERE name = ?", (at, name))


# At rest


def test_only_digests_are_kept(other: Stack) -> None:
    digests = {digest for (digest,) in rows(other, "SELECT digest FROM hoody_site_apitoken")}
    assert hashlib.sha256(other.token.encode()).hexdigest() in digests
    holders = [
        file.name for file in other.folder.rglob("*") if file.is_file() and _holds(file, other.token.encode())
    ]
    assert holders == ["api-token"]
    assert stat.S_IMODE((other.folder / "api-token").stat().st_mode) == 0o600


def _holds(file: Path, text: bytes) -> bool:
    return text in file.read_bytes()


# Addresses


@pytest.mark.parametrize(
    "name", ["token", "api_token", "access_token", "authorization", "Authorization", "key"]
)
def test_token_in_the_query_is_none(stack: Stack, name: str) -> None:
    client = stack.client(None)
    for value in (stack.token, f"Bearer {stack.token}"):
        assert client.get("programs", **{name: value}).status_code == 401


def test_token_in_the_body_or_a_cookie_is_none(stack: Stack) -> None:
    client = stack.client(None)
    assert client.post("programs/add", {"token": stack.token}).status_code == 401
    client.session.cookies.set("token", stack.token)
    assert client.get("programs").status_code == 401


# Commands


def test_create_prints_a_token_that_its_user_may_use(other: Stack) -> None:
    client = other.client(printed(other, "create_token", "admin", "ci"))
    assert code(client) == 200
    assert complaint(other, "create_token", "admin", "ci") == (
        "admin already has a token named 'ci': rotate it, or choose another name"
    )
    assert complaint(other, "create_token", "no such", "ci") == "There is no user 'no such'"
    assert code(client) == 200


def test_days_say_when_a_token_expires(other: Stack) -> None:
    client = other.client(printed(other, "create_token", "admin", "for a week", "--days", "7"))
    sql = "SELECT created_at, expires_at FROM hoody_site_apitoken WHERE name = 'for a week'"
    created, expires = (datetime.fromisoformat(str(at)) for at in rows(other, sql)[0])
    assert abs(expires - created - timedelta(days=7)) < timedelta(seconds=5)
    assert code(client) == 200
    assert "must be between 1 and 3650" in complaint(other, "create_token", "admin", "x", "--days", "0")


def test_expired_token_is_401_and_says_so(other: Stack) -> None:
    client = other.client(printed(other, "create_token", "admin", "short", "--days", "1"))
    set_expiry(other, "short", timedelta(seconds=-1))
    answer = client.get("programs")
    assert answer.status_code == 401
    assert answer.json()["error"] == "The API token has expired"
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_rotation_revokes_the_old_token_and_keeps_its_lifetime(other: Stack) -> None:
    old = other.client(printed(other, "create_token", "admin", "rotated", "--days", "10"))
    set_expiry(other, "rotated", timedelta(days=2))
    new = other.client(printed(other, "rotate_token", "admin", "rotated"))
    assert (code(old), code(new)) == (401, 200)
    sql = "SELECT created_at, expires_at FROM hoody_site_apitoken WHERE name = 'rotated'"
    created, expires = (datetime.fromisoformat(str(at)) for at in rows(other, sql)[0])
    assert abs(expires - created - timedelta(days=2)) < timedelta(minutes=1)
    assert code(other.api) == 200, "others are what they were"


def test_rotation_replaces_the_file_of_the_token_that_it_is(other: Stack) -> None:
    before = other.token
    inode = (other.folder / "api-token").stat().st_ino
    shown = printed(other, "rotate_token")
    assert shown == other.token != before
    assert code(other.client(before)) == 401
    assert code(other.api) == 200
    file = (other.folder / "api-token").stat()
    assert stat.S_IMODE(file.st_mode) == 0o600
    assert file.st_ino != inode, "replaced whole"

    by_name = printed(other, "rotate_token", "admin", "first start")
    assert by_name == other.token != shown


def test_token_that_can_not_be_kept_is_not_rotated(other: Stack) -> None:
    """If the file can't be replaced, the old token must stay valid, since the new one was not shown."""
    file = other.folder / "api-token"
    before = other.token
    (other.folder / "kept").write_text(before)
    blocked = (
        "import hoody_site.access.tokens as t\n"
        "def full(*a): raise OSError(28, 'No space left on device')\n"
        "t.replace_text = full\n"
        "from django.core.management import call_command\n"
        "call_command('rotate_token')"
    )
    done = other.manage("shell", "--no-imports", "-c", blocked)
    (other.folder / "kept").unlink()
    assert "No space left on device" in done.stderr
    assert file.read_text().strip() == before
    assert code(other.api) == 200


def test_rotation_says_what_it_can_not_find(other: Stack) -> None:
    assert complaint(other, "rotate_token", "admin", "no such") == "admin has no token named 'no such'"
    assert complaint(other, "rotate_token", "no such", "x") == "There is no user 'no such'"
    assert complaint(other, "rotate_token", "admin") == "The name of the user's token is required too"
    kept = other.token
    (other.folder / "api-token").write_text("hdt_wrong\n")
    assert complaint(other, "rotate_token") == (
        f"{other.folder / 'api-token'} does not hold a valid token: name the user and the token"
    )
    (other.folder / "api-token").write_text(f"{kept}\n")


# The admin


def test_admin_rotates_and_shows_new_tokens_once(other: Stack) -> None:
    create_users(other)
    admin = AdminClient(other)
    old = other.client(printed(other, "create_token", "viewer", "at the desk"))
    id = rows(other, "SELECT id FROM hoody_site_apitoken WHERE name = 'at the desk'")[0][0]
    page = admin.post(TOKENS, {"action": "rotate", "_selected_action": id}, follow=True)
    (shown,) = re.findall(r"hdt_[\w-]{20,}", page.text)
    assert "no-store" in page.headers["Cache-Control"]
    assert (code(old), code(other.client(shown))) == (401, 200)
    assert shown not in admin.page(TOKENS)
    dump = b"".join(file.read_bytes() for file in other.folder.glob("db.sqlite3*"))  # none with a server
    assert shown.encode() not in dump, "shown by the page itself, not by way of a session"


def test_admin_sets_when_a_token_expires(other: Stack) -> None:
    create_users(other)
    admin = AdminClient(other)
    fields = {"user": "1", "name": "until then", "expires_at_0": "2099-01-01", "expires_at_1": "12:00:00"}
    issued = admin.post(f"{TOKENS}add/", fields, follow=True)
    client = other.client(re.findall(r"hdt_[\w-]{20,}", issued.text)[0])
    assert code(client) == 200
    id = rows(other, "SELECT id FROM hoody_site_apitoken WHERE name = 'until then'")[0][0]
    past = {"name": "until then", "expires_at_0": "2001-01-01", "expires_at_1": "12:00:00"}
    admin.post(f"{TOKENS}{id}/change/", past)
    assert client.get("programs").json()["error"] == "The API token has expired"


@pytest.mark.parametrize("person", ["viewer", "operator", "clerk"])
def test_rotation_requires_the_permission_to_change_users(other: Stack, person: str) -> None:
    create_users(other)
    answer = AdminClient(other, person).post(TOKENS, {"action": "rotate", "_selected_action": 1})
    assert answer.status_code == 403
    assert code(other.api) == 200


def test_last_use_is_remembered(other: Stack) -> None:
    client = other.client(printed(other, "create_token", "admin", "used"))
    sql = "SELECT last_used_at FROM hoody_site_apitoken WHERE name = 'used'"
    assert rows(other, sql) == [(None,)]
    client.get("programs")
    assert eventually(lambda: rows(other, sql)[0][0])


@pytest.fixture
def uses(monkeypatch: pytest.MonkeyPatch) -> Uses:
    """Without its thread: these tests write by themselves."""
    monkeypatch.setattr(Uses, "_run", lambda self: None)
    return Uses()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("seconds", "is_written"), [(0, False), (1, False), (59, False), (60, True), (61, True)]
)
def test_last_use_is_written_once_a_minute(
    uses: Uses, monkeypatch: pytest.MonkeyPatch, seconds: int, is_written: bool
) -> None:
    """By a clock that nothing sets back: the time of the host may be."""
    first, clock = timezone.now(), [1000.0]
    monkeypatch.setattr("hoody_site.access.uses.time.monotonic", lambda: clock[0])
    monkeypatch.setattr(timezone, "now", lambda: first)
    token = found(ApiToken.issue(User.objects.create_user("clerk"), "used"))
    uses.remember(token.digest)
    uses.flush()
    assert ApiToken.objects.get().last_used_at == first
    clock[0] += seconds
    monkeypatch.setattr(timezone, "now", lambda: first - timedelta(hours=1))
    uses.remember(token.digest)
    uses.flush()
    assert ApiToken.objects.get().last_used_at == (first - timedelta(hours=1) if is_written else first)


@pytest.mark.django_db
def test_use_of_a_rotated_token_is_not_that_of_the_new_one(uses: Uses) -> None:
    token = found(ApiToken.issue(User.objects.create_user("clerk"), "used"))
    uses.remember(token.digest)
    token.rotate()
    uses.flush()
    assert ApiToken.objects.get().last_used_at is None


@pytest.mark.django_db
def test_use_that_cannot_be_written_is_kept(uses: Uses, monkeypatch: pytest.MonkeyPatch) -> None:
    token = found(ApiToken.issue(User.objects.create_user("clerk"), "used"))
    uses.remember(token.digest)

    def fail(*args: object, **kwargs: object) -> None:
        raise OperationalError("database or disk is full")

    with monkeypatch.context() as full:
        full.setattr("django.db.models.query.QuerySet.update", fail)
        with pytest.raises(OperationalError):
            uses.flush()
    uses.flush()
    assert ApiToken.objects.get().last_used_at is not None


def found(text: str) -> ApiToken:
    token = ApiToken.find(text)
    assert token is not None
    return token
