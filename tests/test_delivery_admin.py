"""Webhooks at the admin: the log of deliveries, once more, and a new secret."""

import re
from collections.abc import Iterator

import pytest

from tests import webhook_programs
from tests.admin_client import PROGRAMS, AdminClient, create_users, live_of, messages_of, text_of
from tests.stack import Api, Stack
from tests.webhook_programs import settled, start
from tests.webhook_receivers import Receiver

DELIVERIES = "daemon_programs/delivery/"


@pytest.fixture
def api(hooked: Stack) -> Iterator[Api]:
    client = hooked.api
    yield client
    for program in client.get("programs").json()["programs"]:
        if "webhooks" in program:
            client.ok(f"programs/remove/{program['id']}")


@pytest.fixture(scope="module")
def boss(hooked: Stack) -> AdminClient:
    create_users(hooked)
    return AdminClient(hooked)


def listed(page: str) -> list[str]:
    """The rows of the list, as text."""
    table = re.search(r'<table id="result_list".*?</table>', page, re.S)
    return [cells_of(row) for row in re.findall(r"<tr>(.*?)</tr>", table[0], re.S)[1:]] if table else []


def cells_of(html: str) -> str:
    return text_of(re.sub("</t[dhr]>", " ", html))


def test_log_shows_what_was_delivered_and_how(api: Api, boss: AdminClient, receiver: Receiver) -> None:
    id = webhook_programs.add(api, receiver.url(), retry=1, fields={"name": "logged"})
    receiver.answers = [500, 503, 204]
    start(api, id)
    start(api, id)
    failed, delivered = settled(api, id, 2)
    rows = listed(boss.page(DELIVERIES, program=id))
    assert len(rows) == 2
    assert re.search(rf"logged: \w+ → starting {re.escape(receiver.url())} delivered 204 \d+ ms 1\b", rows[0])
    assert re.search(r"failed 503 \d+ ms 2\b", rows[1])
    assert len(listed(boss.page(DELIVERIES, program=id, state="failed"))) == 1
    assert len(listed(boss.page(DELIVERIES, program=id, state="cancelled"))) == 0
    assert listed(boss.page(DELIVERIES, program="999999")) == []
    assert boss.get(DELIVERIES, program="x" * 30).status_code == 200
    page = cells_of(boss.page(f"{DELIVERIES}{failed['id']}/change/"))
    assert re.search(r"500 It answered 500 \d+ ms .*503 It answered 503 \d+ ms", page)
    assert delivered["webhook_id"] in boss.page(f"{DELIVERIES}{delivered['id']}/change/")


def test_log_can_only_be_read(api: Api, boss: AdminClient, receiver: Receiver) -> None:
    id = webhook_programs.add(api, receiver.url())
    start(api, id)
    [delivery] = settled(api, id)
    assert boss.get(f"{DELIVERIES}add/").status_code == 403
    assert boss.get(f"{DELIVERIES}{delivery['id']}/delete/").status_code == 403
    assert boss.post(f"{DELIVERIES}{delivery['id']}/change/", {"state": "failed"}).status_code == 403
    assert settled(api, id) == [delivery]


def test_chosen_deliveries_are_made_once_more(api: Api, boss: AdminClient, receiver: Receiver) -> None:
    id = webhook_programs.add(api, receiver.url())
    start(api, id)
    start(api, id)
    ids = [each["id"] for each in settled(api, id, 2)]
    chosen = {"action": "redeliver", "_selected_action": ids}
    assert messages_of(boss.post(DELIVERIES, chosen, follow=True)) == ["Queued for redelivery: 2."]
    received = receiver.until(4)
    assert [each.id for each in received[2:]] == [each.id for each in received[:2]]
    settled(api, id, 2)
    api.ok(f"programs/edit/{id}", {"webhooks": None})
    first, second = messages_of(boss.post(DELIVERIES, chosen, follow=True))
    assert first.endswith("can't be repeated: the program's webhooks no longer name this URL")
    assert second.endswith("can't be repeated: the program's webhooks no longer name this URL")


def test_viewer_sees_the_log_and_cannot_repeat(
    api: Api, boss: AdminClient, hooked: Stack, receiver: Receiver
) -> None:
    id = webhook_programs.add(api, receiver.url())
    start(api, id)
    [delivery] = settled(api, id)
    viewer = AdminClient(hooked, "viewer")
    page = viewer.page(DELIVERIES, program=id)
    assert len(listed(page)) == 1
    assert 'value="redeliver"' not in page
    viewer.post(DELIVERIES, {"action": "redeliver", "_selected_action": delivery["id"]}, follow=True)
    assert settled(api, id) == [delivery]
    assert len(receiver.received) == 1


def test_page_of_a_program_shows_its_webhooks_and_makes_a_secret_that_is_seen_once(
    api: Api, boss: AdminClient, hooked: Stack, receiver: Receiver
) -> None:
    id = webhook_programs.add(api, receiver.url())
    path = f"{PROGRAMS}{id}/change/"
    assert "Webhooks: no deliveries yet" in live_of(boss.page(path))
    start(api, id)
    settled(api, id)
    page = boss.page(path)
    assert "Webhooks: 1 delivered" in live_of(page)
    assert f"/admin/{DELIVERIES}?program={id}" in page
    answer = boss.post(f"{PROGRAMS}{id}/webhook-secret/", {}, follow=True)
    [said] = messages_of(answer)
    secret = re.fullmatch(r"The new webhook secret, shown only once: (whsec_\S+)", said)
    assert secret
    assert "whsec_" not in boss.page(path)
    assert "whsec_" not in boss.page(f"{PROGRAMS}{id}/history/")
    assert "New webhook secret." in boss.page(f"{PROGRAMS}{id}/history/")
    start(api, id)
    receiver.until(2)[1].verify(secret[1])


def test_new_secret_needs_a_post_webhooks_and_the_permission_to_change(
    api: Api, boss: AdminClient, hooked: Stack, receiver: Receiver
) -> None:
    plain = api.add(name="without hooks")
    path = f"{PROGRAMS}{plain}/webhook-secret/"
    assert boss.get(path).status_code == 405
    assert messages_of(boss.post(path, {}, follow=True)) == [
        f"“without hooks”: Program with ID {plain} has no webhooks to sign"
    ]
    assert "New webhook secret" not in boss.page(f"{PROGRAMS}{plain}/change/")
    assert boss.post(f"{PROGRAMS}999999/webhook-secret/", {}).status_code == 404
    id = webhook_programs.add(api, receiver.url())
    viewer = AdminClient(hooked, "viewer")
    assert viewer.post(f"{PROGRAMS}{id}/webhook-secret/", {}).status_code == 403
    assert "New webhook secret" not in viewer.page(f"{PROGRAMS}{id}/change/")
    api.ok(f"programs/remove/{plain}")
