"""The pages that ask whether to remove programs, and the names that forms suggest."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from daemon_programs.models import Program
from daemon_programs.supervisor.gateway import supervisor
from tests.admin_client import PROGRAMS, AdminClient, text_of
from tests.stack import Api, Stack


def asked(page: str) -> str:
    return text_of(page[page.index('<div class="removal">') :])


def test_page_says_what_is_stopped_what_stays_and_who_needs_it(api: Api, boss: AdminClient) -> None:
    id = api.add(
        name="database <b>", boot=True, stop_grace_seconds=7, webhooks={"urls": ["https://example.com/"]}
    )
    api.add(name="client", depends_on=[{"program": "database <b>"}], enabled=False)
    pid = api.until(id, "running")["status"]["pid"]
    page = boss.page(f"{PROGRAMS}{id}/delete/")
    said = asked(page)
    assert "1 process will be stopped first, and killed if it has not ended after 7 seconds." in said
    assert "database <b> running 0:00:0" in said
    assert f" {pid} " in said
    assert api.get(f"programs/{id}").json()["program"]["stdout_logfile"] in said
    assert "client What needs a program that is gone waits at its next start" in " ".join(said.split())
    assert "Webhooks are deleted too" in said
    assert "database &lt;b&gt;" in page
    assert "autofocus>No, take me back" in page


def test_page_says_that_nothing_runs(api: Api, boss: AdminClient) -> None:
    id = api.add(logs_enabled=False)
    said = asked(boss.page(f"{PROGRAMS}{id}/delete/"))
    assert said.startswith("Nothing of it runs.")
    assert "stopped none" in said  # no logs
    assert "needs" not in said
    assert "Webhooks" not in said


def test_page_says_that_a_start_is_called_off(api: Api, boss: AdminClient) -> None:
    id = api.add(boot=True, delay_seconds=3600)
    api.until(id, "starting")
    said = asked(boss.page(f"{PROGRAMS}{id}/delete/"))
    assert said.startswith("Starts that are due will be called off.")


def test_page_for_several_counts_what_runs_and_skips_those_that_go_too(api: Api, boss: AdminClient) -> None:
    many = api.add(
        "sh -c 'exec sleep 1000'", name="many", port_range={"start": 21600, "end": 21602}, boot=True
    )
    client = api.add(name="client", depends_on=[{"program": "many"}])
    for port in (21600, 21601, 21602):
        api.ok(f"programs/{many}/start", {"port": port, "wait": True})
    page = boss.act("delete_selected", many, client).text
    said = asked(page)
    assert "<h1>Delete 2 programs</h1>" in page
    assert "3 processes will be stopped first" in said
    assert "running 3 of 3" in said
    assert "stdout_{port}.log" in said
    assert "What needs" not in said
    assert [api.get(f"programs/{id}").status_code for id in (many, client)] == [200, 200]


def test_names_are_suggested_to_those_who_may_view_programs(
    api: Api, boss: AdminClient, stack: Stack
) -> None:
    for name in ("needle <b>", "Needle two", "hay"):
        api.add(name=name)
    path = f"{PROGRAMS}names/"
    assert boss.get(path, q="needle").json() == {"names": ["Needle two", "needle <b>"]}
    assert len(boss.get(path).json()["names"]) >= 3
    assert boss.get(path, q="\0").status_code == 200
    assert AdminClient(stack, "viewer").get(path).status_code == 200
    assert AdminClient(stack, "blind").get(path).status_code == 403
    assert boss.post(path, {}).status_code == 405


@pytest.mark.django_db
@pytest.mark.parametrize("number", [1, 50])
def test_pages_cost_the_same_for_one_and_for_many(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    calls: list[str] = []

    def answer(method: str, *arguments: Any) -> Any:
        calls.append(method)
        if method == "states":
            return {
                "boot": "b", "number": 1, "at": 0.0, "pid": 1, "programs": {}, "names": [],
                "orphans": {}, "stack": {}, "unclaimed": [], "is_ending": False,
            }  # fmt: skip
        return {"changing": False, "digest": "", "processes": {}, "over": False, "cut_short": None}

    monkeypatch.setattr(supervisor, "_call", answer)
    made = Program.objects.bulk_create(
        [Program(name=f"p{n}", command="true", user="root") for n in range(number)]
    )
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    data = {"action": "delete_selected", "_selected_action": [program.pk for program in made]}
    with CaptureQueriesContext(connection) as queries:
        page = client.post(reverse("admin:daemon_programs_program_changelist"), data)
    assert page.status_code == 200
    assert len(calls) == 1
    assert len(queries) == 10, [each["sql"][:90] for each in queries.captured_queries]
