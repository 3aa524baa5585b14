"""What is shown of a host: what was last heard of it, and how old that is."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from fleet.models import FollowedEvent, FollowedProgram, Host, Link
from fleet.registry import hosts
from fleet.registry.documents import age_of, chosen, counts_of, host_document

pytestmark = pytest.mark.django_db


def make(name: str, state: str = "", **link: Any) -> Host:
    host = Host(name=name, url=f"http://{name}:8000", added_by="alice")
    host.token = "hdt_secret"
    host.save()
    if state:
        Link.objects.create(host=host, state=state, **link)
    return hosts.get_host(name)


def fill(host: Host, *states: str) -> None:
    for number, state in enumerate(states):
        FollowedProgram.objects.create(
            host=host, program_id=number, name=f"p{number}", enabled=True, state=state, document={}
        )


def test_a_host_that_was_never_followed_is_new() -> None:
    host = make("web-1")
    document = host_document(host, counts_of([host]))
    assert document["state"] == "new"
    assert document["programs"] == {}
    for field in ("since", "heard_at", "age_seconds", "version", "error"):
        assert document[field] is None


def test_a_host_that_is_lost_says_since_when_and_what_was_known() -> None:
    ago = timezone.now() - timedelta(seconds=90)
    host = make("web-1", "lost", error="It is away", since=ago, heard_at=ago, version="1.0.0")
    fill(host, "running", "running", "fatal")
    fill(make("web-2"), "stopped")
    document = host_document(host, counts_of([host]))
    assert 90 <= document["age_seconds"] < 100
    assert document["since"] == document["heard_at"]
    assert (document["state"], document["error"], document["version"]) == ("lost", "It is away", "1.0.0")
    assert document["programs"] == {"fatal": 1, "running": 2}
    assert "programs" not in host_document(host, None)


def test_a_clock_that_was_set_back_makes_nothing_younger_than_now() -> None:
    assert age_of(make("web-1", "current", heard_at=timezone.now() + timedelta(minutes=1))) == 0


def test_hosts_are_chosen_by_state() -> None:
    make("a")
    make("b", "new")
    make("c", "current")
    names = [host.name for host in chosen(hosts.all_hosts(), {"state": {"new"}})]
    assert names == ["a", "b"]


def test_what_was_kept_of_a_host_goes_with_it() -> None:
    host = make("web-1", "current")
    fill(host, "running")
    FollowedEvent.objects.create(
        host=host, number=1, at=timezone.now(), name="p0", state="running", document={}
    )
    assert hosts.remove_host("web-1", user="alice") == "web-1"
    for model in (Host, Link, FollowedProgram, FollowedEvent):
        assert not model.objects.exists()


def test_a_list_takes_the_same_number_of_queries_with_many_hosts(django_assert_num_queries: Any) -> None:
    for number in range(5):
        fill(make(f"web-{number}", "current"), "running")
    with django_assert_num_queries(2):
        shown = list(hosts.all_hosts())
        counts = counts_of(shown)
        assert all(host_document(host, counts)["programs"] == {"running": 1} for host in shown)
