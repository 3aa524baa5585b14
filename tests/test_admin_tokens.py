"""API tokens at the admin: issued, renamed and revoked, shown once."""

import re

import pytest

from tests.admin_client import TOKENS, AdminClient
from tests.stack import Stack


def test_token_is_shown_once_and_opens_what_its_user_may(staffed: Stack, boss: AdminClient) -> None:
    page = boss.page(f"{TOKENS}add/")
    viewer_id = re.search(r'<option value="(\d+)">viewer</option>', page)
    assert viewer_id
    issued = boss.post(f"{TOKENS}add/", {"user": viewer_id[1], "name": "of a test"}, follow=True)
    shown = re.findall(r"hdt_[\w-]{20,}", issued.text)
    assert len(shown) == 1
    client = staffed.client(shown[0])
    assert client.get("programs").status_code == 200
    assert client.post("programs/reset").status_code == 403

    listed = boss.page(TOKENS)
    token_id = int(re.findall(r"/apitoken/(\d+)/change/\">of a test<", listed)[0])
    change = boss.page(f"{TOKENS}{token_id}/change/")
    digest = re.compile(r"[0-9a-f]{64}")
    assert not any("hdt_" in text or digest.search(text) for text in (listed, change))

    boss.post(f"{TOKENS}{token_id}/change/", {"name": "renamed", "user": "1", "digest": "0" * 64})
    assert client.get("programs").status_code == 200
    assert client.post("programs/reset").status_code == 403, "the user can't be changed"
    assert "renamed" in boss.page(TOKENS)

    boss.post(f"{TOKENS}{token_id}/delete/", {"post": "yes"})
    assert client.get("programs").status_code == 401


@pytest.mark.parametrize("person", ["viewer", "operator", "clerk"])
def test_tokens_require_the_permission_to_change_users(staffed: Stack, person: str) -> None:
    admin = AdminClient(staffed, person)
    assert "apitoken" not in admin.page()
    for path in (TOKENS, f"{TOKENS}add/", f"{TOKENS}1/change/", f"{TOKENS}1/delete/"):
        assert admin.get(path).status_code == 403, path
        assert admin.post(path, {"user": "1", "name": "mine", "post": "yes"}).status_code == 403, path


def test_issuing_tokens_requires_the_permission_to_change_users(staffed: Stack) -> None:
    admin = AdminClient(staffed, "registrar")
    issued = admin.post(f"{TOKENS}add/", {"user": "1", "name": "for the first"}, follow=True)
    client = staffed.client(re.findall(r"hdt_[\w-]{20,}", issued.text)[0])
    assert client.get("programs").status_code == 200
    id = re.findall(r"/apitoken/(\d+)/change/\">for the first<", issued.text)[0]
    admin.post(f"{TOKENS}{id}/delete/", {"post": "yes"})
    assert client.get("programs").status_code == 401
