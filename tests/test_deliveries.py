"""Webhooks are delivered: signed, once for each success, in order, and again after a failure."""

import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest
import trustme
from standardwebhooks import WebhookVerificationError

from tests import webhook_programs
from tests.stack import Api, Stack, eventually
from tests.temporary_programs import own_processes
from tests.webhook_programs import gaps, new_secret, settled, start
from tests.webhook_receivers import Answer, Receiver, Trust, with_headers


@pytest.fixture
def api(hooked: Stack) -> Iterator[Api]:
    client = hooked.api
    before = {program["id"] for program in client.get("programs").json()["programs"]}
    yield client
    for program in client.get("programs").json()["programs"]:
        if program["id"] not in before:
            client.ok(f"programs/remove/{program['id']}")


def test_each_event_is_delivered_once_in_order_and_signed(api: Api, receiver: Receiver) -> None:
    id = webhook_programs.add(api, receiver.url(), events="*")
    secret = new_secret(api, id)
    api.ok(f"programs/{id}/start", {"wait": True})
    api.ok(f"programs/{id}/stop")
    settled(api, id, 4)
    received = receiver.received
    assert [each.event for each in received] == ["STARTING", "RUNNING", "STOPPING", "STOPPED"]
    assert [each.payload["from_state"] for each in received] == ["STOPPED", "STARTING", "RUNNING", "STOPPING"]
    assert len({each.id for each in received}) == 4
    for each in received:
        each.verify(secret)


def test_body_is_that_of_the_contract(api: Api, receiver: Receiver) -> None:
    id = webhook_programs.add(
        api,
        receiver.url(),
        command="sh -c 'sleep 1.2; exit 3'",
        events="EXITED",
        fields={"name": "Ünï code", "autorestart": "false"},
    )
    pid = api.ok(f"programs/{id}/start", {"wait": True}) and api.pid(id)
    [request] = receiver.until(1)
    payload = request.payload
    event = api.get(f"programs/{id}/events", state="exited").json()["events"][0]
    assert payload == {
        "event": "EXITED",
        "program": {"id": id, "name": "Ünï code"},
        "from_state": "RUNNING",
        "pid": pid,
        "timestamp": event["at"],
        "hostname": payload["hostname"],
        "metadata": {"daemon_manager_version": "1.0.0"},
        "exit_code": 3,
    }
    assert payload["hostname"]


def test_instance_of_a_port_range_is_named(api: Api, receiver: Receiver) -> None:
    ports = {"port_range": {"start": 21700, "end": 21701}, "name": "hooked range"}
    id = webhook_programs.add(api, receiver.url(), command="sh -c 'exec sleep 1000'", fields=ports)
    api.ok(f"programs/{id}/start", {"port": 21701})
    [request] = receiver.until(1)
    assert request.payload["instance"] == {"port": 21701, "instance_name": "hooked range_21701"}


def test_request_has_the_programs_headers_and_our_own(api: Api, receiver: Receiver) -> None:
    headers = {"Authorization": "Bearer t", "X-Empty": ""}
    id = webhook_programs.add(api, receiver.url("/a/ü?b=c%20d#e"), headers=headers)
    start(api, id)
    [request] = receiver.until(1)
    assert request.path == "/a/%C3%BC?b=c%20d"
    assert request.headers["authorization"] == "Bearer t"
    assert request.headers["x-empty"] == ""
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == "hoody-daemon/1.0.0"
    assert request.headers["host"] == f"localhost:{receiver.port}"


def test_only_chosen_events_go_to_each_url_once(api: Api, receiver: Receiver) -> None:
    urls = [receiver.url("/one"), receiver.url("/two"), receiver.url("/one")]
    id = webhook_programs.add(api, *urls, events=["running", "STOPPED"])
    api.ok(f"programs/{id}/start", {"wait": True})
    api.ok(f"programs/{id}/stop")
    settled(api, id, 4)
    for path in ("/one", "/two"):
        assert [each.event for each in receiver.received if each.path == path] == ["RUNNING", "STOPPED"]


def test_nothing_is_noted_for_programs_without_webhooks_or_with_disabled_ones(
    api: Api, receiver: Receiver
) -> None:
    quiet = webhook_programs.add(api, receiver.url(), enabled=False)
    plain = api.add()
    loud = webhook_programs.add(api, receiver.url())
    for id in (quiet, plain, loud):
        start(api, id)
    settled(api, loud)
    assert webhook_programs.deliveries(api, quiet) == webhook_programs.deliveries(api, plain) == []
    assert [each.payload["program"]["id"] for each in receiver.received] == [loud]


def test_after_a_rotation_both_secrets_verify_and_then_only_the_last_two(
    api: Api, receiver: Receiver
) -> None:
    id = webhook_programs.add(api, receiver.url())
    secrets = [new_secret(api, id) for _ in range(3)]
    assert all(secret.startswith("whsec_") for secret in secrets)
    assert len(set(secrets)) == 3
    start(api, id)
    [request] = receiver.until(1)
    request.verify(secrets[2])
    request.verify(secrets[1])
    assert len(request.headers["webhook-signature"].split()) == 2
    with pytest.raises(WebhookVerificationError):
        request.verify(secrets[0])


def test_old_secret_is_no_longer_used_after_a_day(api: Api, hooked: Stack, receiver: Receiver) -> None:
    id = webhook_programs.add(api, receiver.url())
    old, new = new_secret(api, id), new_secret(api, id)
    script = "from daemon_programs.models import WebhookSecret as W; from datetime import timedelta as T;"
    webhook_programs.run(
        hooked, f"{script} w = W.objects.get(pk={id}); w.rotated_at -= T(hours=24); w.save()"
    )
    start(api, id)
    [request] = receiver.until(1)
    request.verify(new)
    with pytest.raises(WebhookVerificationError):
        request.verify(old)


def test_delivery_is_signed_before_the_secret_is_requested(api: Api, receiver: Receiver) -> None:
    id = webhook_programs.add(api, receiver.url())
    start(api, id)
    receiver.until(1)
    secret = new_secret(api, id)
    start(api, id)
    first, second = receiver.until(2)
    second.verify(secret)
    assert first.headers["webhook-signature"].startswith("v1,")
    with pytest.raises(WebhookVerificationError):
        first.verify(secret)
    # The first secret is still used too: a receiver that knows only that one can verify.
    assert len(second.headers["webhook-signature"].split()) == 2


def test_failures_are_tried_again_later_and_later_with_the_same_id(api: Api, receiver: Receiver) -> None:
    id = webhook_programs.add(api, receiver.url())
    secret = new_secret(api, id)
    receiver.answers = [500, 404]
    start(api, id)
    received = receiver.until(3)
    assert len({each.id for each in received}) == 1
    assert len({each.body for each in received}) == 1
    for each in received:
        each.verify(secret)
    first, second = gaps(receiver)
    assert first >= 0.75
    assert second >= 1.5
    [delivery] = settled(api, id)
    assert delivery["state"] == "delivered"
    assert [each.get("error") for each in delivery["attempts"]] == [
        "It answered 500",
        "It answered 404",
        None,
    ]
    assert [each["code"] for each in delivery["attempts"]] == [500, 404, 204]
    assert all(each["milliseconds"] >= 0 for each in delivery["attempts"])


def test_every_2xx_is_a_success(api: Api, receiver: Receiver) -> None:
    receiver.at = {f"/{code}": code for code in (200, 201, 204, 299)}
    id = webhook_programs.add(api, *map(receiver.url, receiver.at))
    start(api, id)
    found = settled(api, id, 4)
    assert {each["state"] for each in found} == {"delivered"}
    assert [[each["code"] for each in one["attempts"]] for one in found] == [[200], [201], [204], [299]]
    assert not any("error" in each for each in found)


@pytest.mark.parametrize("retry", [0, 1])
def test_given_up_after_as_many_retries_as_the_program_allows(
    api: Api, receiver: Receiver, retry: int
) -> None:
    id = webhook_programs.add(api, receiver.url(), retry=retry)
    receiver.always = 503
    start(api, id)
    [delivery] = settled(api, id)
    assert (delivery["state"], delivery["error"]) == ("failed", "It answered 503")
    assert len(delivery["attempts"]) == len(receiver.received) == retry + 1


def test_gone_is_final(api: Api, receiver: Receiver) -> None:
    id = webhook_programs.add(api, receiver.url(), retry=5)
    receiver.always = 410
    start(api, id)
    [delivery] = settled(api, id)
    assert (delivery["state"], delivery["error"]) == ("failed", "It answered 410")
    assert len(receiver.received) == 1


@pytest.mark.parametrize("code", [429, 503])
def test_receiver_may_say_when_to_come_again(api: Api, receiver: Receiver, code: int) -> None:
    id = webhook_programs.add(api, receiver.url())
    receiver.answers = [with_headers(code, Retry_After="4")]
    start(api, id)
    receiver.until(2)
    assert gaps(receiver)[0] >= 4


def test_retry_after_is_limited_to_five_minutes(api: Api, receiver: Receiver) -> None:
    id = webhook_programs.add(api, receiver.url())
    receiver.answers = [with_headers(503, Retry_After="999999")]
    start(api, id)
    receiver.until(1)
    [delivery] = eventually(
        lambda: [each for each in webhook_programs.deliveries(api, id) if each["attempts"]]
    )
    waits = parsed(delivery["next_attempt_at"]) - parsed(delivery["attempts"][0]["at"])
    assert 295 < waits < 310


def parsed(moment: str) -> float:
    return time.mktime(time.strptime(moment[:19], "%Y-%m-%dT%H:%M:%S"))


def test_time_out_is_for_the_whole_attempt(api: Api, receiver: Receiver) -> None:
    def drip_headers(handler: BaseHTTPRequestHandler) -> None:
        for byte in b"HTTP/1.1 200 OK\r\n" + b"X-Slow: yes\r\n" * 100:
            handler.wfile.write(bytes([byte]))
            if not receiver.wait(0.1):
                return

    def drip_body(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while receiver.wait(0.1):
            handler.wfile.write(b".")

    id = webhook_programs.add(api, receiver.url(), timeout=1)
    receiver.answers = [receiver.stay_silent, drip_headers, drip_body]
    start(api, id)
    [delivery] = settled(api, id)
    assert delivery["state"] == "delivered"
    *failed, last = delivery["attempts"]
    assert [each["error"] for each in failed] == ["No whole answer within 1 seconds"] * 3
    assert all(950 < each["milliseconds"] < 3000 for each in failed)
    assert last["code"] == 204


def test_long_answer_is_not_read_to_its_end(api: Api, receiver: Receiver) -> None:
    sent = 0

    def pour(handler: BaseHTTPRequestHandler) -> None:
        nonlocal sent
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while receiver.wait(0):
            handler.wfile.write(b"." * 65536)
            sent += 65536

    id = webhook_programs.add(api, receiver.url(), timeout=60)
    receiver.answers = [pour]
    start(api, id)
    [delivery] = settled(api, id)
    assert delivery["state"] == "delivered"
    assert len(receiver.received) == 1


def test_what_is_no_http_is_a_failure(api: Api, receiver: Receiver) -> None:
    for path, answer in {"/a": b"", "/b": b"Hello\r\n\r\n", "/c": b"HTTP/1.1 abc OK\r\n\r\n"}.items():
        receiver.at[path] = says(answer)
    id = webhook_programs.add(api, *map(receiver.url, receiver.at), retry=0)
    start(api, id)
    for delivery in settled(api, id, 3):
        assert delivery["state"] == "failed"
        assert delivery["error"] == "What it answered is no whole HTTP answer"


def test_only_the_status_of_an_answer_matters(api: Api, receiver: Receiver) -> None:
    receiver.at = {
        "/cut": says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n."),
        "/chunk": says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
        "/gzip": says(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\n."),
    }
    id = webhook_programs.add(api, *map(receiver.url, receiver.at), retry=0)
    start(api, id)
    assert [each["state"] for each in settled(api, id, 3)] == ["delivered"] * 3


def says(answer: bytes) -> Answer:
    return lambda handler: void(handler.wfile.write(answer))


def void(_: object) -> None:
    return None


def test_redirects_are_not_followed(api: Api, receiver: Receiver, trust: Trust) -> None:
    codes = (301, 302, 303, 307, 308)
    with trust.receiver() as target:
        receiver.at = {f"/{code}": with_headers(code, Location=target.url()) for code in codes}
        id = webhook_programs.add(api, *map(receiver.url, receiver.at), retry=0)
        start(api, id)
        found = settled(api, id, 5)
        assert {each["state"] for each in found} == {"failed"}
        sentences = [f"It answered {code}; redirects are not followed" for code in codes]
        assert [each["error"] for each in found] == sentences
        assert target.connections == 0


def test_proxy_variables_are_ignored(api: Api, hooked: Stack, receiver: Receiver, trust: Trust) -> None:
    queue = own_processes(hooked, "scheduler")
    assert queue
    assert all(each.environ()["HTTPS_PROXY"].endswith(f":{trust.proxy.port}") for each in queue)
    with Receiver() as plain:
        id = webhook_programs.add(api, receiver.url(), plain.url())
        start(api, id)
        settled(api, id, 2)
        assert len(receiver.received) == len(plain.received) == 1
    assert trust.proxy.connections == 0


def test_certificate_of_an_unknown_authority_is_refused(api: Api) -> None:
    with Receiver(trustme.CA()) as stranger:
        id = webhook_programs.add(api, stranger.url(), retry=0)
        start(api, id)
        [delivery] = settled(api, id)
        assert delivery["state"] == "failed"
        assert delivery["error"].startswith("Its certificate can't be trusted: ")
        assert stranger.received == []


def test_certificate_for_another_name_is_refused(api: Api, trust: Trust) -> None:
    with Receiver(trust.authority, "other.example.com", "10.0.0.1") as other:
        id = webhook_programs.add(api, other.url(), other.url(host="127.0.0.1"), retry=0)
        start(api, id)
        for delivery in settled(api, id, 2):
            assert delivery["state"] == "failed"
            assert delivery["error"].startswith("Its certificate can't be trusted: ")
        assert other.received == []


def test_receiver_that_refuses_connections_is_tried_again(api: Api, trust: Trust) -> None:
    with trust.receiver() as gone:
        url = gone.url()
    id = webhook_programs.add(api, url, retry=1)
    start(api, id)
    [delivery] = settled(api, id)
    assert delivery["state"] == "failed"
    assert [each["error"] for each in delivery["attempts"]] == [
        "The connection failed: Connection refused"
    ] * 2


def test_later_events_wait_behind_one_that_failed_for_this_receiver_only(
    api: Api, receiver: Receiver, trust: Trust
) -> None:
    receiver.answers = [500, 500]
    with trust.receiver() as healthy:
        id = webhook_programs.add(api, receiver.url(), healthy.url(), events=["STARTING", "RUNNING"])
        start(api, id)
        settled(api, id, 4)
        assert [each.event for each in receiver.received] == ["STARTING"] * 3 + ["RUNNING"]
        assert [each.event for each in healthy.received] == ["STARTING", "RUNNING"]


def test_dead_receiver_does_not_delay_a_healthy_one(api: Api, receiver: Receiver, trust: Trust) -> None:
    with trust.receiver() as dead:
        dead.always = dead.stay_silent
        id = webhook_programs.add(api, dead.url(), receiver.url(), timeout=30, retry=5)
        for number in range(1, 6):
            start(api, id)
            receiver.until(number, timeout=10)
        assert len(dead.received) == 1
        states = {each["url"]: each["state"] for each in webhook_programs.deliveries(api, id)}
        assert states[dead.url()] == "pending"
        api.ok(f"programs/edit/{id}", {"webhooks": {"urls": [receiver.url()]}})


@pytest.mark.parametrize("change", [{"webhooks": {"enabled": False}}, {"webhooks": None}])
def test_what_is_no_longer_wanted_is_cancelled(
    api: Api, receiver: Receiver, change: dict[str, object]
) -> None:
    receiver.always = 500
    id = webhook_programs.add(api, receiver.url(), retry=5, events=["STARTING", "RUNNING"])
    start(api, id)
    receiver.until(1)
    eventually(lambda: len(webhook_programs.deliveries(api, id)) == 2)
    api.ok(f"programs/edit/{id}", change)
    first, second = settled(api, id, 2)
    number = len(receiver.received)
    assert first["state"] == second["state"] == "cancelled"
    assert second["error"] == "The program's webhooks no longer name this URL"
    assert len(first["attempts"]) == number
    assert second["attempts"] == []


def test_url_that_is_taken_out_gets_nothing_more_and_a_new_timeout_is_used_at_once(
    api: Api, receiver: Receiver, trust: Trust
) -> None:
    with trust.receiver() as other:
        receiver.always = other.always = 500
        id = webhook_programs.add(api, receiver.url(), other.url(), retry=5)
        start(api, id)
        receiver.until(1)
        other.until(1)
        other.always = 204
        api.ok(f"programs/edit/{id}", {"webhooks": {"urls": [other.url()], "headers": {"X-New": "1"}}})
        states = {each["url"]: each["state"] for each in settled(api, id, 2)}
        assert states == {receiver.url(): "cancelled", other.url(): "delivered"}
        assert other.received[-1].headers["x-new"] == "1"


def test_removal_of_the_program_cancels_what_is_on_its_way(
    api: Api, hooked: Stack, receiver: Receiver
) -> None:
    receiver.always = 500
    id = webhook_programs.add(api, receiver.url(), retry=5)
    start(api, id)
    receiver.until(1)
    api.ok(f"programs/remove/{id}")
    query = f"SELECT state FROM daemon_programs_delivery WHERE program_id = {id}"
    eventually(lambda: webhook_programs.rows(hooked, query) == [("cancelled",)], 30)


def test_temporary_programs_have_no_webhooks(api: Api, hooked: Stack) -> None:
    before = webhook_programs.rows(hooked, "SELECT count(*) FROM daemon_programs_delivery")
    answer = api.ok("quick-start", {"command": "true", "user": "root", "wait": "exit"})
    assert answer["last_run"]["exit_code"] == 0
    assert webhook_programs.rows(hooked, "SELECT count(*) FROM daemon_programs_delivery") == before


def test_what_has_waited_for_an_hour_is_given_up(api: Api, hooked: Stack, receiver: Receiver) -> None:
    receiver.answers = [with_headers(503, Retry_After="300")]
    id = webhook_programs.add(api, receiver.url())
    start(api, id)
    start(api, id)
    eventually(lambda: webhook_programs.deliveries(api, id)[0]["attempts"], what="the first has failed")
    script = f"""
from datetime import timedelta
from daemon_programs.models import Delivery
for delivery in Delivery.objects.filter(program_id={id}):
    delivery.queued_at -= timedelta(hours=1)
    delivery.save()
from daemon_programs.webhooks.dispatch import dispatch
dispatch()
"""
    webhook_programs.run(hooked, script)
    for delivery in settled(api, id, 2):
        assert delivery["state"] == "failed"
        assert delivery["error"].startswith("The receiver lags too far behind")
    assert len(receiver.received) == 1


def test_outcomes_are_counted(api: Api, hooked: Stack, receiver: Receiver) -> None:
    script = "from daemon_programs.webhooks import deliveries; print(deliveries.counts())"
    before = eval(webhook_programs.run(hooked, script))
    id = webhook_programs.add(api, receiver.url(), retry=1)
    receiver.answers = [500, 204, 410]
    start(api, id)
    start(api, id)
    settled(api, id, 2)
    after = eval(webhook_programs.run(hooked, script))
    assert set(after) == {"delivered", "failed", "retried", "cancelled"}
    assert {outcome: after[outcome] - before[outcome] for outcome in after} == {
        "delivered": 1,
        "failed": 1,
        "retried": 1,
        "cancelled": 0,
    }


def test_secrets_and_headers_stand_in_no_document_and_no_log(
    api: Api, hooked: Stack, receiver: Receiver
) -> None:
    id = webhook_programs.add(
        api, receiver.url("/hook?token=tokenvalue"), headers={"X-Key": "headervalue"}, retry=1
    )
    secret = new_secret(api, id).removeprefix("whsec_")
    receiver.at = {"/hook?token=tokenvalue": 500}
    start(api, id)
    [delivery] = settled(api, id)
    assert delivery["state"] == "failed"
    logs = "".join(file.read_text() for file in (hooked.folder / "stack-logs").iterdir())
    assert f"Delivery {delivery['id']} of program {id} was given up" in logs
    for word in (secret, "headervalue", "tokenvalue"):
        assert word not in logs
    documents = [api.get(f"programs/{id}").text, api.get("programs").text, webhook_programs.export(hooked)]
    documents += [file.read_text() for file in (hooked.folder / "conf.d").iterdir()]
    eventually(lambda: "headervalue" in (hooked.folder / "programs.json").read_text())
    documents.append((hooked.folder / "programs.json").read_text())
    assert not any(secret in document or "whsec_" in document for document in documents)


def test_malformed_headers_of_an_answer_are_not_quoted_in_a_log(
    api: Api, hooked: Stack, receiver: Receiver
) -> None:
    receiver.always = says(b"HTTP/1.1 500 No\r\nheadervalue returned\r\n\r\n")
    id = webhook_programs.add(api, receiver.url("/tokenvalue"), headers={"X-Key": "headervalue"}, retry=0)
    start(api, id)
    [delivery] = settled(api, id)
    log = (hooked.folder / "stack-logs" / "scheduler.log").read_text()
    assert f"Delivery {delivery['id']} of program {id} was given up" in log
    assert "headervalue" not in log
    assert "tokenvalue" not in log
