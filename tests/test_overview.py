"""The overview of the admin: what needs attention, and who may see what of it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django_q.models import Task

from daemon_programs.exceptions import SupervisorUnavailable
from daemon_programs.history.restarts import Flapping
from daemon_programs.models import Delivery, Event, Program
from daemon_programs.programs.observed import samples
from daemon_programs.programs.observed.samples import HostSample
from daemon_programs.supervisor.gateway import supervisor
from hoody_site.console.overview import page, problems

NOW = datetime.now(UTC)
PART = {"state": "running", "pid": 1, "seconds": 1000.0, "restarted": False}
ENDED = {"exit_code": 3, "signal": None, "error": None, "pid": 5, "ended_at": 0.0, "requested": False}
Numbered = Callable[[int], Any]


def report(states: dict[str, Any] | None = None, **parts: Any) -> Any:
    stack = dict.fromkeys(("api", "listener", "scheduler", "prober"), PART)
    programs = {
        group: {"changing": False, "digest": "", "processes": processes}
        for group, processes in (states or {}).items()
    }
    return {"pid": 1, "programs": programs, "stack": {**stack, **parts}, "unclaimed": []}


def of(process: dict[str, Any], flapping: dict[str, Flapping] | None = None, **fields: Any) -> list[Any]:
    """Return the problems of a program whose only process is in a state."""
    program = Program(pk=7, name="web", enabled=True, command="true", user="root", **fields)
    states = report({"program-7": {"program-7": process}})["programs"]
    found = problems.of_programs([program], states, flapping or {})
    return [(each.severity.value, each.word, each.sentence) for each in found]


@pytest.mark.parametrize(
    ("process", "problem"),
    [
        ({"state": "running", "pid": 5, "started_at": 0.0}, None),
        ({"state": "stopped"}, None),
        ({"state": "exited", "last_run": {**ENDED, "exit_code": 0}}, None),
        ({"state": "exited", "last_run": ENDED}, ("bad", "failed", "it ended with exit code 3")),
        (
            {"state": "exited", "last_run": {**ENDED, "exit_code": None, "signal": "SIGKILL"}},
            ("bad", "failed", "it was ended by SIGKILL"),
        ),
        (
            {"state": "fatal", "last_run": {**ENDED, "error": "command not found: x"}},
            ("bad", "fatal", "command not found: x"),
        ),
        ({"state": "backoff", "last_run": ENDED}, ("warning", "backoff", "it ended with exit code 3")),
        (
            {"state": "running", "healthy": False, "unhealthy_because": "it answered 500"},
            ("bad", "unhealthy", "it answered 500"),
        ),
        (
            {
                "state": "stopped",
                "queued": True,
                "waiting_for": [{"program": "db", "condition": "ready", "state": "stopped"}],
            },
            ("warning", "waiting", "it waits until db is ready"),
        ),
    ],
)
def test_process_needs_attention_if_it_does_not_do_what_it_should(
    process: dict[str, Any], problem: Any
) -> None:
    assert of(process) == ([problem] if problem else [])


def test_flapping_program_is_told_once() -> None:
    restarted = {"program-7": Flapping(14, 1)}
    flapping = ("warning", "flapping", "it was restarted 14 × in a minute")
    assert of({"state": "backoff", "last_run": ENDED}, restarted) == [flapping]
    assert of({"state": "running"}, restarted) == [flapping]
    assert [word for _, word, _ in of({"state": "fatal", "last_run": ENDED}, restarted)] == ["fatal"]
    assert of({"state": "stopped"}, restarted) == []


def test_enabled_program_that_supervisord_lacks_is_told() -> None:
    program = Program(pk=7, name="web", enabled=True)
    found = list(problems.of_programs([program, Program(pk=8, name="off", enabled=False)], {}, {}))
    assert [(each.subject, each.word) for each in found] == [("web", "unknown")]


def test_instances_with_one_problem_are_one_line() -> None:
    program = Program(pk=7, name="web", enabled=True, port_start=9000, port_end=9005)
    processes = {str(port): {"state": "fatal", "last_run": ENDED} for port in range(9000, 9003)}
    found = list(problems.of_programs([program], report({"program-7": processes})["programs"], {}))
    assert [each.sentence for each in found] == ["port 9000 and 2 more: it ended with exit code 3"]


@pytest.mark.django_db
@pytest.mark.parametrize(("minutes", "is_stale"), [(1, False), (4, True), (None, True)])
def test_queue_that_finishes_nothing_is_stale(minutes: int | None, is_stale: bool) -> None:
    if minutes is not None:
        at = datetime.now(UTC) - timedelta(minutes=minutes)
        Task.objects.create(id="a" * 32, name="t", func="f", started=at, stopped=at, success=True)
    found = list(problems.of_stack(report()))
    assert [each.word for each in found] == (["stale"] if is_stale else [])


@pytest.mark.django_db
def test_queue_that_was_just_started_is_not_stale() -> None:
    assert list(problems.of_stack(report(scheduler={**PART, "seconds": 20.0}))) == []


@pytest.mark.django_db
def test_parts_that_are_down_and_unclaimed_processes_are_told() -> None:
    down = {**PART, "state": "backoff", "seconds": 0.0}
    told = report(prober=down, scheduler={**PART, "seconds": 20.0})
    found = list(problems.of_stack({**told, "unclaimed": [5, 6]}))
    assert [(each.word, each.subject) for each in found] == [
        ("down", "The prober"),
        ("unclaimed", "Processes"),
    ]
    assert found[1].sentence == "2 processes that belong to no program: see GET status"


@pytest.mark.django_db
def test_deliveries_that_fail_are_told() -> None:
    event = Event.objects.create(
        at=NOW, group="program-1", name="web", from_state="running", state="exited", by="api"
    )

    def deliver(number: int, state: str, tries: int = 0, hours: float = 0) -> None:
        queued = datetime.now(UTC) - timedelta(hours=hours)
        fields = {"state": state, "tries": tries, "queued_at": queued, "url": "https://a.example/"}
        Delivery.objects.create(event=event, program_id=1, webhook_id=str(number), **fields)

    deliver(1, Delivery.DELIVERED)
    deliver(2, Delivery.PENDING)
    deliver(3, Delivery.FAILED, hours=2)
    assert list(problems.of_deliveries()) == []
    deliver(4, Delivery.FAILED)
    deliver(5, Delivery.PENDING, tries=2)
    found = problems.sort(problems.of_deliveries())
    assert [each.sentence for each in found] == [
        "1 × given up within the last hour",
        "1 × failed so far, and tried again",
    ]


@pytest.fixture
def boss(db: None) -> User:
    return User.objects.create_superuser("boss", password="x")


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Have supervisord answer with a report, or an error."""

    def set_answer(answer: Any) -> None:
        def states() -> Any:
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(supervisor, "states", states)

    return set_answer


def test_without_supervisord_the_overview_says_so(boss: User, answers: Callable[[Any], None]) -> None:
    answers(SupervisorUnavailable("supervisord can't be reached"))
    Program.objects.bulk_create([Program(name="web", command="true", user="root", enabled=True)])
    shown = page.context(boss)
    assert shown["problem"] == "supervisord can't be reached"
    assert [each["count"] for each in shown["counts"]] == [1]
    assert "unknown" in shown["counts"][0]["badge"]
    assert shown["problems"] == []


@pytest.mark.parametrize(
    ("codenames", "sections"),
    [
        ([], set()),
        (["view_program"], {"counts", "problems"}),
        (["view_program", "view_event"], {"counts", "problems", "events"}),
        (["view_ephemeralprogram"], {"temporary"}),
        (["view_event", "view_delivery"], set()),
    ],
)
def test_overview_shows_what_its_reader_may_see(
    db: None, answers: Callable[[Any], None], codenames: list[str], sections: set[str]
) -> None:
    answers(report())
    reader = User.objects.create_user("reader", is_staff=True)
    reader.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    shown = page.context(reader)
    assert set(shown) & {"counts", "problems", "events", "temporary"} == sections


def host(used: int) -> HostSample:
    return HostSample(12.3, 2 * 10**9, 8 * 10**9, (0.5, 0.4, 0.3), used, 10**11)


def test_host_is_shown_once_it_was_measured(
    boss: User, answers: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(report(scheduler={**PART, "seconds": 20.0}))
    assert page.context(boss)["host"] == []
    monkeypatch.setattr(samples, "host", lambda: host(5 * 10**10))
    figures = [(each["name"], each["text"].replace("\xa0", " ")) for each in page.context(boss)["host"]]
    assert figures[:3] == [("CPU", "12 %"), ("Memory", "1.9 GB of 7.5 GB"), ("Disk", "46.6 GB of 93.1 GB")]
    assert figures[3][1].startswith("0.5 on ")
    assert page.context(boss)["problems"] == []


def test_disk_that_is_nearly_full_is_told(
    boss: User, answers: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(report(scheduler={**PART, "seconds": 20.0}))
    monkeypatch.setattr(samples, "host", lambda: host(96 * 10**9))
    assert [each.word for each in page.context(boss)["problems"]] == ["full"]


def test_address_of_the_overview_needs_a_login(db: None) -> None:
    refused = Client().get("/admin/overview/")
    assert refused.status_code == 302
    assert "/admin/login/" in refused["Location"]


def test_number_of_queries_does_not_grow_with_the_programs(
    boss: User,
    answers: Callable[[Any], None],
    django_assert_num_queries: Numbered,
    settings: Any,
    tmp_path: Path,
) -> None:
    settings.HOSTS_KEY_FILE = tmp_path / "hosts-key"  # there is none: there are no hosts to ask for

    def fill(count: int) -> None:
        programs = [Program(name=f"p{number}", command="true", user="root") for number in range(count)]
        made = Program.objects.bulk_create(programs)
        answers(report({each.group: {each.group: {"state": "fatal", "last_run": ENDED}} for each in made}))
        Event.objects.bulk_create(
            Event(at=NOW, group=each.group, name=each.name, from_state="a", state="fatal", by="api")
            for each in made
        )

    fill(60)
    with django_assert_num_queries(9):
        shown = page.context(boss)
    assert (shown["problem_count"], len(shown["problems"]), shown["more_problems"]) == (61, 30, 31)
    assert len(shown["events"]) == 12
