"""``deliveries``, ``redeliver`` and ``rotate-secret``: the routes of webhooks, and who may use them."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests import webhook_programs
from tests.stack import Api, Stack
from tests.webhook_programs import deliveries, settled, start
from tests.webhook_receivers import Receiver

MAKE_USERS = """
from django.contrib.auth.models import Group, Permission, User
from hoody_site.access.models import ApiToken
for name, groups, permissions in [
    ("hook viewer", ["viewers"], []), ("hook operator", ["operators"], []),
    ("hook starter", [], ["view_program", "operate_program"]),
    ("hook repeater", [], ["view_program", "operate_program", "view_delivery"]),
]:
    user = User.objects.create_user(name)
    user.groups.set(Group.objects.filter(name__in=groups))
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    print("token", name.split()[1], ApiToken.issue(user, "test"))
"""


@pytest.fixture
def api(hooked: Stack) -> Iterator[Api]:
    client = hooked.api
    yield client
    for program in client.get("programs").json()["programs"]:
        if "webhooks" in program:
            client.ok(f"programs/remove/{program['id']}")


@pytest.fixture(scope="module")
def users(hooked: Stack) -> dict[str, Api]:
    tokens = re.findall(r"^token (\w+) (\S+)$", webhook_programs.run(hooked, MAKE_USERS), re.M)
    assert len(tokens) == 4
    return {name: hooked.client(token) for name, token in tokens}


def page(api: Api, id: int, **query: Any) -> dict[str, Any]:
    answer = api.get(f"programs/{id}/deliveries", **query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_deliveries_are_listed_newest_first_page_by_page(api: Api, receiver: Receiver) -> None:
    id = webhook_programs.add(api, receiver.url())
    for _ in range(5):
        start(api, id)
    wanted = [each["id"] for each in reversed(settled(api, id, 5))]
    found: list[int] = []
    query: dict[str, Any] = {"limit": 2}
    for size in (2, 2, 1):
        answer = page(api, id, **query)
        assert answer["success"] is True
        assert len(answer["deliveries"]) == size
        found += [each["id"] for each in answer["deliveries"]]
        query["cursor"] = answer["next"]
    assert query["cursor"] is None
    assert found == wanted == sorted(wanted, reverse=True)


def test_deliveries_can_be_chosen_by_state(api: Api, receiver: Receiver) -> None:
    id = webhook_programs.add(api, receiver.url(), retry=0)
    receiver.answers = [500, 204]
    start(api, id)
    start(api, id)
    first, second = settled(api, id, 2)
    assert [each["id"] for each in page(api, id, state="failed")["deliveries"]] == [first["id"]]
    assert [each["id"] for each in page(api, id, state="delivered")["deliveries"]] == [second["id"]]
    assert page(api, id, state="cancelled")["deliveries"] == []


def test_delivery_names_its_event_and_what_the_receiver_saw(api: Api, receiver: Receiver) -> None:
    ports = {"port_range": {"start": 21710, "end": 21711}}
    id = webhook_programs.add(api, receiver.url(), command="sh -c 'exec sleep 1000'", fields=ports)
    api.ok(f"programs/{id}/start", {"port": 21710})
    [delivery] = settled(api, id)
    [event] = api.get(f"programs/{id}/events", state="starting").json()["events"]
    assert delivery == {
        "id": delivery["id"],
        "webhook_id": receiver.received[0].id,
        "event_id": event["id"],
        "event": "STARTING",
        "port": 21710,
        "url": receiver.url(),
        "state": "delivered",
        "created_at": delivery["created_at"],
        "attempts": [{**delivery["attempts"][0], "code": 204}],
    }
    assert set(delivery["attempts"][0]) == {"at", "code", "milliseconds"}


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"limit": "0"}, "Query parameter 'limit' must be an integer between 1 and 1000"),
        ({"limit": "1001"}, "Query parameter 'limit' must be an integer between 1 and 1000"),
        ({"cursor": "x"}, "Query parameter 'cursor' must be the 'next' of an earlier answer"),
        (
            {"state": "lost"},
            "Query parameter 'state' must be one of: pending, delivered, failed, cancelled",
        ),
    ],
)
def test_query_that_cannot_be_read_is_refused(api: Api, query: dict[str, str], sentence: str) -> None:
    id = api.add()
    answer = api.get(f"programs/{id}/deliveries", **query)
    assert answer.status_code == 400
    assert answer.json()["error"] == sentence
    api.ok(f"programs/remove/{id}")


def test_redelivery_has_the_same_id_and_new_retries(api: Api, receiver: Receiver) -> None:
    id = webhook_programs.add(api, receiver.url(), retry=1)
    secret = webhook_programs.new_secret(api, id)
    receiver.answers = [500, 500, 500, 204, 204]
    start(api, id)
    [failed] = settled(api, id)
    assert failed["state"] == "failed"
    assert api.ok(f"programs/{id}/deliveries/{failed['id']}/redeliver") == {"success": True}
    receiver.until(4)
    [delivered] = settled(api, id)
    assert delivered["state"] == "delivered"
    assert "error" not in delivered
    assert [each["code"] for each in delivered["attempts"]] == [500, 500, 500, 204]
    api.ok(f"programs/{id}/deliveries/{failed['id']}/redeliver", {})
    receiver.until(5)
    assert len({(each.id, each.body) for each in receiver.received}) == 1
    for each in receiver.received:
        each.verify(secret)


def test_what_is_still_on_its_way_is_not_repeated(api: Api, receiver: Receiver) -> None:
    id = webhook_programs.add(api, receiver.url(), timeout=60)
    receiver.answers = [receiver.stay_silent]
    start(api, id)
    receiver.until(1)
    [delivery] = deliveries(api, id)
    said = api.refused(f"programs/{id}/deliveries/{delivery['id']}/redeliver")
    assert said == f"Delivery with ID {delivery['id']} is still on its way"


def test_what_is_no_longer_wanted_is_not_repeated(api: Api, receiver: Receiver) -> None:
    id = webhook_programs.add(api, receiver.url())
    start(api, id)
    [delivery] = settled(api, id)
    api.ok(f"programs/edit/{id}", {"webhooks": {"enabled": False}})
    said = api.refused(f"programs/{id}/deliveries/{delivery['id']}/redeliver")
    assert said == (
        f"Delivery with ID {delivery['id']} can't be repeated: the program's webhooks no longer name this URL"
    )
    assert len(receiver.received) == 1


def test_delivery_of_another_program_is_not_found(api: Api, receiver: Receiver) -> None:
    id = webhook_programs.add(api, receiver.url())
    start(api, id)
    [delivery] = settled(api, id)
    other = webhook_programs.add(api, receiver.url("/other"))
    for unknown in (str(delivery["id"]), "999999", "x", "-1", "9" * 30):
        said = api.refused(f"programs/{other}/deliveries/{unknown}/redeliver", code=404)
        assert said == f"Delivery with ID {unknown} not found"
    assert (
        api.refused("programs/999999/deliveries/1/redeliver", code=404) == "Program with ID 999999 not found"
    )
    assert api.get("programs/999999/deliveries").status_code == 404
    assert (
        api.refused("programs/999999/webhooks/rotate-secret", code=404) == "Program with ID 999999 not found"
    )


def test_program_without_webhooks_has_no_secret(api: Api) -> None:
    id = api.add()
    assert api.refused(f"programs/{id}/webhooks/rotate-secret") == (
        f"Program with ID {id} has no webhooks to sign"
    )
    api.ok(f"programs/remove/{id}")


def test_bodies_are_checked(api: Api, receiver: Receiver) -> None:
    id = webhook_programs.add(api, receiver.url())
    start(api, id)
    [delivery] = settled(api, id)
    for route in (f"deliveries/{delivery['id']}/redeliver", "webhooks/rotate-secret"):
        assert api.refused(f"programs/{id}/{route}", {"x": 1}) == "Unknown field 'x'"


def test_groups_may_do_what_they_are_for(api: Api, users: dict[str, Api], receiver: Receiver) -> None:
    id = webhook_programs.add(api, receiver.url())
    start(api, id)
    [delivery] = settled(api, id)
    repeat, rotate = (
        f"programs/{id}/deliveries/{delivery['id']}/redeliver",
        f"programs/{id}/webhooks/rotate-secret",
    )

    def allowed(name: str) -> list[int]:
        client = users[name]
        number = len(receiver.received)
        answers = [client.get(f"programs/{id}/deliveries"), client.post(repeat), client.post(rotate)]
        if answers[1].status_code == 200:
            receiver.until(number + 1)
            settled(api, id)
        return [answer.status_code for answer in answers]

    assert allowed("viewer") == [200, 403, 403]
    assert allowed("operator") == [200, 200, 200]
    assert allowed("starter") == [403, 403, 403]
    assert allowed("repeater") == [200, 200, 403]
