"""``GET quick-start``: filters, order, fields and pages of temporary programs."""

from typing import Any

import pytest

from tests.stack import OWN_USER
from tests.temporary_programs import Quick


@pytest.fixture
def launched(quick: Quick) -> dict[str, str]:
    """The ids of three temporary programs by name."""
    commands = {"b": "sleep 1001", "A": "sleep 1002", "c": "sleep 1003"}
    ids = {name: quick.run(command, name=f"list {name}") for name, command in commands.items()}
    for id in ids.values():
        quick.until(id, "running")
    return ids


def listed(quick: Quick, **query: Any) -> list[str]:
    answer = quick.api.get("quick-start", **query)
    assert answer.status_code == 200, answer.text
    names = [each["name"] for each in answer.json()["ephemeral_programs"]]
    return [name.removeprefix("list ") for name in names if name.startswith("list ")]


def test_list_is_filtered_and_sorted(quick: Quick, launched: dict[str, str]) -> None:
    for query, names in (
        ({}, ["b", "A", "c"]),
        ({"status": "running"}, ["b", "A", "c"]),
        ({"status": ["exited", "fatal"]}, []),
        ({"user": OWN_USER}, ["b", "A", "c"]),
        ({"user": "nobody-at-all"}, []),
        ({"q": "LIST A"}, ["A"]),
        ({"q": "sleep 1003"}, ["c"]),
        ({"sort": "name"}, ["A", "b", "c"]),
        ({"sort": "-id"}, ["c", "A", "b"]),
        ({"sort": "-status"}, ["b", "A", "c"]),
    ):
        assert listed(quick, **query) == names, query


def test_pages_have_some_fields(quick: Quick, launched: dict[str, str]) -> None:
    query = {"q": "list ", "sort": "name", "limit": 2, "fields": "name,status"}
    first = quick.api.get("quick-start", **query).json()
    assert first["count"] == 2
    assert first["ephemeral_programs"] == [
        {"name": "list A", "status": "running"},
        {"name": "list b", "status": "running"},
    ]
    quick.stop(launched["b"])
    second = quick.api.get("quick-start", cursor=first["next"], **query).json()
    assert [each["name"] for each in second["ephemeral_programs"]] == ["list c"]
    assert second["next"] is None
    assert "next" not in quick.api.get("quick-start").json()
