"""Errors of the admin are pages within its frame; elsewhere they are JSON."""

import pytest
import requests

from tests.admin_client import AdminClient, create_users, text_of
from tests.stack import Stack


@pytest.fixture(scope="module")
def viewer(stack: Stack) -> AdminClient:
    create_users(stack)
    return AdminClient(stack, "viewer")


@pytest.mark.parametrize(
    ("path", "status", "title"),
    [("nothing/", 404, "Not found"), ("auth/user/", 403, "No permission")],
)
def test_error_of_the_admin_is_a_page_in_its_frame(
    viewer: AdminClient, path: str, status: int, title: str
) -> None:
    answer = viewer.get(path)
    assert answer.status_code == status
    assert f"<h1>{title}</h1>" in answer.text
    assert 'id="logout-form"' in answer.text
    assert "Back to" in text_of(answer.text)


def test_form_without_its_token_is_refused_with_a_page(stack: Stack) -> None:
    answer = stack.browser().post(f"{stack.url}/admin/login/", data={"username": "boss"}, timeout=60)
    assert answer.status_code == 403
    assert "Form refused" in answer.text
    assert "<style" not in answer.text


def test_errors_elsewhere_are_json(stack: Stack) -> None:
    answer = requests.get(f"{stack.url}/nothing", headers={"Accept": "text/html"}, timeout=60)
    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"
