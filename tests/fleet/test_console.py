"""The console of a hub: the list over hosts, the page of a program of any host, the hosts on the overview."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from daemon_programs.exceptions import SupervisorUnavailable
from daemon_programs.supervisor.gateway import supervisor
from fleet import client as hosts_client
from fleet.client import Answer
from fleet.exceptions import NoConnection
from fleet.models import FollowedProgram, Host, HostCall, HostUsage
from tests.admin_client import text_of
from tests.fleet.copies import add_event, add_host, add_program, add_usage

pytestmark = pytest.mark.django_db
MACHINE = {"memory_total_bytes": 4000, "memory_available_bytes": 1000}
NO_ROUTE = "Host 'web-1' can't be reached: no route"
LIST = "/admin/fleet/followedprogram/"
SEEING = ("view_host", "view_program")
OPERATING = (*SEEING, "operate_host", "operate_program")


def client_of(*codenames: str) -> Client:
    user = User.objects.create_user("+".join(codenames)[:150], is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture(autouse=True)
def _session(settings: Any, tmp_path: Path) -> None:
    settings.SESSION_HOSTS = ["testserver"]
    settings.HOSTS_KEY_FILE = tmp_path / "hosts-key"
    settings.HOSTS_KEY_FILE.write_text("key\n")


@pytest.fixture
def hosts() -> list[Host]:
    """A host that is current and one that is lost."""
    found = [
        add_host("web-1", version="1.2.0", machine=MACHINE),
        add_host("db-1", state="lost", age=180, error="No answer for 40 seconds"),
    ]
    for host in found:
        add_program(host, 1, "api", cpu_percent=12.5, memory_bytes=2048)
        add_program(host, 2, "job", "fatal")
    return found


def page_of(client: Client, path: str, **query: Any) -> str:
    answer = client.get(path, query)
    assert answer.status_code == 200, answer.content
    return answer.content.decode()


def rows_of(page: str) -> list[str]:
    rows = re.findall(r"<tr data-key.*?</tr>", page, re.S)
    return [text_of(re.sub("<t[dh]", " <td", row)) for row in rows]


def address_of(host: Host, id: int = 1, part: str = "change") -> str:
    row = FollowedProgram.objects.get(host=host, program_id=id)
    return reverse(f"admin:fleet_followedprogram_{part}", args=[row.pk])


# The list


def test_list_has_problems_first_and_tells_what_is_old(hosts: list[Host]) -> None:
    page = page_of(client_of(*SEEING), LIST)
    first, second, third, fourth = rows_of(page)
    assert first == "fatal last heard 3 minutes ago job db-1 lost – – 3 minutes ago"
    assert re.fullmatch(r"fatal job web-1 – – \d seconds? ago", second)
    assert third.startswith("running last heard 3 minutes ago api db-1 lost 12.5 % 2.0")
    assert fourth.startswith("running api web-1 12.5 % 2.0")
    assert "What is shown of these hosts is old: db-1 (last heard 3 minutes ago)" in text_of(page)
    assert 'data-live-seconds="5"' in page


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"host": "web-1"}, 2),
        ({"host": "nothing"}, 0),
        ({"state": "fatal"}, 2),
        ({"state": "problems", "host": "db-1"}, 1),
        ({"q": "web-1"}, 2),
        ({"q": "api"}, 2),
    ],
)
def test_list_is_filtered_and_searched(hosts: list[Host], query: dict[str, str], count: int) -> None:
    page = page_of(client_of(*SEEING), LIST, **query)
    assert len(rows_of(page)) == count
    assert len(rows_of(page_of(client_of("x", *SEEING), f"{LIST}rows/", **query))) == count


@pytest.mark.parametrize("column", range(1, 7))
def test_list_is_sorted_by_each_column(hosts: list[Host], column: int) -> None:
    assert len(rows_of(page_of(client_of(*SEEING), LIST, o=str(column)))) == 4


def test_list_asks_as_often_for_thirty_hosts_and_reads_no_documents(hosts: list[Host]) -> None:
    client = client_of(*SEEING)
    counts = []
    for number in (0, 30):
        for each in range(number):
            add_program(add_host(f"h{each}"), 1)
        with CaptureQueriesContext(connection) as queries:
            page_of(client, LIST)
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert not any('"document"' in each["sql"] for each in queries)


def test_filter_by_host_names_no_more_than_fit(hosts: list[Host]) -> None:
    client = client_of(*SEEING)
    assert "?host=db-1" in page_of(client, LIST)
    Host.objects.bulk_create([Host(name=f"h{n}", url="http://h", sealed_token="x") for n in range(60)])
    page = page_of(client, LIST, host="web-1")
    assert 'title="web-1"' in page or ">web-1</a>" in page
    assert "?host=h7" not in page


# The page of a program


def test_page_shows_what_was_heard_of_the_program(hosts: list[Host]) -> None:
    add_event(hosts[0], 7)
    client = client_of(*SEEING, "view_event")
    page = page_of(client, address_of(hosts[0]))
    text = text_of(page)
    assert "running" in text
    assert re.search(r"CPU 12\.5 % memory 2\.0.KB on web-1 current last heard \d seconds? ago", text)
    assert "running → exited" in text
    assert "sleep 1" in text  # of the configuration
    assert "This may not be true any more" not in page
    stream = "/api/v1/daemon/hosts/web-1/api/v1/daemon/programs/1/logs/stream?type=stdout"
    assert f'data-address="{stream}"' in page
    assert "running → exited" not in text_of(page_of(client_of(*SEEING), address_of(hosts[0])))


def test_page_of_a_lost_host_says_that_it_is_old(hosts: list[Host]) -> None:
    for part in ("change", "live"):
        page = page_of(client_of(part, *SEEING), address_of(hosts[1], part=part))
        said = "This may not be true any more: db-1 was last heard 3 minutes ago. No answer for 40 seconds."
        assert said in text_of(page)


def test_page_of_a_program_with_instances_shows_them_and_the_log_of_one(hosts: list[Host]) -> None:
    instances = [{"port": 9001, "instance_name": "many_9001", "status": "running", "pid": 5}]
    status = {"type": "port-range", "running_instances": 1, "total_instances": 3, "instances": instances}
    add_program(hosts[0], 3, "many", document={"port_range": {"start": 9000, "end": 9002}})
    row = FollowedProgram.objects.get(program_id=3)
    row.document["status"] = status
    row.save()
    client = client_of(*OPERATING)
    page = page_of(client, address_of(hosts[0], 3))
    assert "1 of 3 run" in text_of(page)
    assert re.search(r"many_9001</a></th>\s*<td>running</td><td>5</td>", page)
    assert "type=stdout&amp;port=9001" in page
    assert "type=stdout&amp;port=9002" in page_of(client, address_of(hosts[0], 3), port="9002")
    assert {"Start all", "Stop all", "Restart all"} <= set(re.findall(r">([A-Z]\w+ all)</button>", page))


def test_usage_of_a_program_is_that_of_its_minutes(hosts: list[Host]) -> None:
    add_usage(hosts[0], minutes_ago=2)
    add_usage(hosts[0], minutes_ago=1)
    newest = HostUsage.objects.latest("minute")
    newest.programs = {"1": [1.5, 2000]}
    newest.save()
    found = client_of(*SEEING).get(address_of(hosts[0], part="usage")).json()
    assert found["seconds"] == 3600
    assert found["columns"][1:] == [[None, 1.5], [None, 2000]]


def test_page_of_a_program_that_is_gone_says_so(hosts: list[Host]) -> None:
    client = client_of(*SEEING)
    address = address_of(hosts[0], part="live")
    FollowedProgram.objects.all().delete()
    assert "This program was removed" in page_of(client, address)
    assert client.get(address.replace("live", "usage")).status_code == 404


@pytest.mark.parametrize("part", ["change", "live", "usage"])
@pytest.mark.parametrize("codenames", [("view_host",), ("view_program", "view_followedprogram")])
def test_pages_take_both_permissions(hosts: list[Host], part: str, codenames: tuple[str, ...]) -> None:
    client = client_of(*codenames)
    assert client.get(address_of(hosts[0], part=part)).status_code == 403
    assert client.get(LIST).status_code == 403


# The verbs


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What hosts were asked for; the last element is what they answer."""
    calls: list[Any] = [Answer(200, {"success": True})]

    def call(host: Host, method: str, route: str, **options: Any) -> Answer:
        calls.insert(-1, (host.name, method, route, options["body"], options["user"]))
        answer = calls[-1]
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    monkeypatch.setattr(hosts_client, "call", call)
    return calls


def press(client: Client, host: Host, button: str) -> str:
    answer = client.post(address_of(host, part="operate"), {button: "all"}, follow=True)
    assert answer.status_code == 200, answer.content
    return text_of(re.search(r'<ul class="messagelist">(.*?)</ul>', answer.content.decode(), re.S)[1])  # type: ignore[index]


def test_button_has_the_host_do_it_for_the_person(hosts: list[Host], asked: list[Any]) -> None:
    client = client_of(*OPERATING)
    buttons = re.findall(r'<button class="button" data-key="(\w+)"', page_of(client, address_of(hosts[0])))
    assert buttons == ["stop", "restart"]
    assert press(client, hosts[0], "stop") == "“api” on web-1: stopped."
    user = "+".join(OPERATING)
    assert asked[:-1] == [("web-1", "POST", "programs/1/stop", {}, user)]
    call = HostCall.objects.get()
    assert (call.user, call.host, call.method, call.path, call.code, call.error) == (
        *(user, "web-1", "POST", "/api/v1/daemon/programs/1/stop", 200, ""),
    )


@pytest.mark.parametrize(
    ("answer", "said", "code"),
    [
        (Answer(200, {"success": True}), "started", 200),
        (Answer(200, {"success": True, "already_running": True}), "runs already", 200),
        (Answer(400, {"error": "Program with ID 1 is disabled"}), "Program with ID 1 is disabled", 400),
        (Answer(502, None), "The host has answered with the status 502", 502),
        (NoConnection(NO_ROUTE), NO_ROUTE, None),
    ],
)
def test_what_the_host_answers_is_told(
    hosts: list[Host], asked: list[Any], answer: Any, said: str, code: int | None
) -> None:
    asked[-1] = answer
    assert press(client_of(*OPERATING), hosts[0], "start") == f"“api” on web-1: {said}."
    call = HostCall.objects.get()
    assert call.code == code
    assert call.error == ("" if code == 200 else said)


@pytest.mark.parametrize("lacking", OPERATING)
def test_buttons_take_the_permissions_to_operate_hosts_and_programs(
    hosts: list[Host], asked: list[Any], lacking: str
) -> None:
    client = client_of(*(each for each in OPERATING if each != lacking))
    assert client.post(address_of(hosts[0], part="operate"), {"stop": "all"}).status_code == 403
    if lacking not in SEEING:
        assert 'name="stop"' not in page_of(client, address_of(hosts[0]))
    assert len(asked) == 1
    assert not HostCall.objects.exists()


def test_unknown_button_and_reading_do_nothing(hosts: list[Host], asked: list[Any]) -> None:
    client = client_of(*OPERATING)
    assert client.post(address_of(hosts[0], part="operate"), {"remove": "all"}).status_code == 404
    assert client.get(address_of(hosts[0], part="operate")).status_code == 405
    assert client.post(address_of(hosts[0], part="usage")).status_code == 405
    assert len(asked) == 1


def test_disabled_program_has_no_buttons(hosts: list[Host]) -> None:
    FollowedProgram.objects.update(enabled=False)
    page = page_of(client_of(*OPERATING), address_of(hosts[0]))
    assert 'class="button" data-key' not in page
    assert "This program is disabled" in page


# The overview


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A supervisord that can't be reached: these tests are not about it."""

    def call(*arguments: Any) -> Any:
        raise SupervisorUnavailable

    monkeypatch.setattr(supervisor, "_call", call)


def test_overview_shows_hosts_those_that_are_away_first(hosts: list[Host], away: None) -> None:
    add_usage(hosts[0], minutes_ago=1, cpu_percent=42.0)
    page = page_of(client_of(*SEEING), "/admin/overview/")
    part = re.search(r'<section class="module overview-hosts".*?</section>', page, re.S)
    assert part
    lost, current = (text_of(row) for row in re.findall(r"<tr>\s*<td>.*?</tr>", part[0], re.S))
    assert lost == "db-1 lost last heard 3 minutes ago 1 fatal 1 running"
    assert re.match(r"web-1 current last heard \d seconds? ago 1 fatal 1 running 42 % 2\.9.KB of 3", current)
    assert re.search(r"lost db-1 No answer for 40 seconds", text_of(page))
    assert "(1) Overview" in page


def test_overview_of_a_stack_without_hosts_says_nothing_of_them(away: None, settings: Any) -> None:
    client = client_of(*SEEING)
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            page = page_of(client, "/admin/overview/")
        assert "overview-hosts" not in page
        asked = [each for each in queries if "fleet_" in each["sql"]]
        settings.HOSTS_KEY_FILE.unlink(missing_ok=True)
    assert asked == []  # which never had one


def test_overview_shows_hosts_to_those_who_may_see_them(hosts: list[Host], away: None) -> None:
    assert "overview-hosts" not in page_of(client_of("view_program"), "/admin/overview/")
