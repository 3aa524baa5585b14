"""Requests with an ``Idempotency-Key``: carried out once, however often they are repeated."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import requests
from django.utils import timezone

from daemon_programs import tasks
from daemon_programs.models import KeptAnswer
from tests import database
from tests.processes import LONG_RUNNING
from tests.stack import OWN_USER, Api, Stack

BATCH = {"action": "restart", "select": {"names": ["keyed"]}, "wait": True}


def send(api: Api, key: str, body: dict[str, Any], route: str = "programs/batch") -> requests.Response:
    return api.post(route, body, headers={"Idempotency-Key": key})


@pytest.fixture
def keyed(api: Api) -> int:
    id = api.add(LONG_RUNNING, name="keyed")
    api.ok(f"programs/{id}/start", {"wait": True})
    return id


def test_repeated_request_gets_the_first_answer_and_does_nothing(api: Api, keyed: int) -> None:
    first = send(api, "first", BATCH)
    assert (first.status_code, first.headers.get("Idempotency-Replayed")) == (200, None)
    pid = api.pid(keyed)
    again = send(api, "first", dict(reversed(BATCH.items())))
    assert (again.json(), again.headers["Idempotency-Replayed"]) == (first.json(), "true")
    assert api.pid(keyed) == pid
    assert send(api, "second", BATCH).status_code == 200
    assert api.pid(keyed) != pid
    kept = api.get("requests/first").json()
    assert kept == {"success": True, "key": "first", "state": "answered", "code": 200, "answer": first.json()}


def test_apply_is_carried_out_once_and_so_is_its_error(api: Api) -> None:
    body = {"programs": [{"name": "once", "command": "true", "user": OWN_USER}]}
    created = send(api, "apply-1", body, "programs/apply").json()
    assert created["counts"]["create"] == 1
    assert send(api, "apply-1", body, "programs/apply").json() == created
    bad = send(api, "apply-2", {"programs": [{"name": "once"}]}, "programs/apply")
    again = send(api, "apply-2", {"programs": [{"name": "once"}]}, "programs/apply")
    assert (again.status_code, again.json()) == (bad.status_code, bad.json()) == (400, bad.json())


def test_of_many_at_a_time_one_is_carried_out(api: Api, keyed: int, stack: Stack) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda number: send(stack.api, "race", BATCH), range(4)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    done = [
        each for each in answers if each.status_code == 200 and "Idempotency-Replayed" not in each.headers
    ]
    assert len(done) == 1
    for refused in (answer for answer in answers if answer.status_code == 409):
        assert refused.json()["error"] == "The request with this key is under way"


def test_key_belongs_to_one_body(api: Api, keyed: int) -> None:
    send(api, "mine", {**BATCH, "wait": False})
    refused = send(api, "mine", BATCH)
    assert refused.status_code == 409
    assert (
        refused.json()["error"]
        == "The Idempotency-Key was used for another request already; nothing was changed"
    )


@pytest.mark.parametrize("key", ["", "a b", "a/b", "x" * 101, "é".encode().decode("latin-1")])
def test_key_that_is_none_is_refused(api: Api, key: str) -> None:
    answer = send(api, key, BATCH)
    assert answer.status_code == 400
    assert answer.json()["errors"] == {
        "Idempotency-Key": ["The Idempotency-Key must be 1 to 100 letters, digits, '.', '_', '~' and '-'"]
    }


def test_what_no_key_can_be_is_not_looked_for(api: Api) -> None:
    assert api.get("requests/a%20b").json()["errors"].keys() == {"Idempotency-Key"}


def test_request_that_has_not_arrived_is_unknown(api: Api) -> None:
    assert api.get("requests/never").json() == {"success": True, "key": "never", "state": "unknown"}


def test_request_of_an_api_that_has_ended_is_interrupted(api: Api, stack: Stack) -> None:
    send(api, "cut-off", {**BATCH, "select": {"names": ["nothing*"]}})
    with database.opened(stack.folder) as rows:
        change = "UPDATE daemon_programs_keptanswer SET code = NULL, process = 'x' WHERE key = ?"
        assert rows.execute(change, ("cut-off",)).rowcount == 1
    assert api.get("requests/cut-off").json()["state"] == "interrupted"
    refused = send(api, "cut-off", {**BATCH, "select": {"names": ["nothing*"]}})
    assert refused.status_code == 409
    assert "was interrupted: whether it was carried out is not known" in refused.json()["error"]


def test_without_a_key_nothing_is_kept(api: Api, stack: Stack, keyed: int) -> None:
    def count() -> int:
        with database.opened(stack.folder) as rows:
            return int(rows.rows("SELECT COUNT(*) AS n FROM daemon_programs_keptanswer")[0]["n"])

    before = count()
    assert json.loads(api.post("programs/batch", BATCH).text)["success"] is True
    assert count() == before


@pytest.mark.django_db
def test_answers_are_forgotten_after_a_day() -> None:
    for key in ("old", "new"):
        KeptAnswer.objects.create(user="a", key=key, digest="d", process="p")
    KeptAnswer.objects.filter(key="old").update(begun_at=timezone.now() - timedelta(days=1, minutes=1))
    assert tasks.forget_answers() == 1
    assert [each.key for each in KeptAnswer.objects.all()] == ["new"]
