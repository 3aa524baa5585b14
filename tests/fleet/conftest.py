"""Fixtures of the tests of hubs."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from hoody_site.access.models import ApiToken


class Reader:
    """A client of the API without a stack, with the permissions that are given."""

    def __init__(self, *permissions: str) -> None:
        user = User.objects.create_user(f"reader {'+'.join(permissions)}"[:150])
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        self.client = Client(headers={"Authorization": f"Bearer {ApiToken.issue(user, 'test')}"})

    def get(self, route: str, **query: Any) -> Any:
        return self.client.get(f"/api/v1/daemon/{route}", query)

    def ok(self, route: str, **query: Any) -> dict[str, Any]:
        answer = self.get(route, **query)
        assert answer.status_code == 200, answer.content
        return answer.json()  # type: ignore[no-any-return]

    def refused(self, route: str, code: int = 400, **query: Any) -> str:
        answer = self.get(route, **query)
        assert answer.status_code == code, answer.content
        return answer.json()["error"]  # type: ignore[no-any-return]


@pytest.fixture
def reader(db: None) -> Reader:
    """Someone who may see hosts, programs and events."""
    return Reader("view_host", "view_program", "view_event")
