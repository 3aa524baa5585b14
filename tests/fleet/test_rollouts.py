"""Roll-outs over simulated hosts: order, failures, lost answers, kills, the way back.

The hosts are those of `tests.fleet.rollout_hosts`.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import DataError
from django.utils import timezone
from django_q.models import Schedule

from daemon_programs.exceptions import Refused
from fleet import database, tasks
from fleet.exceptions import HostNotFound, NoConnection
from fleet.models import Host, HostCall, Link, Rollout, RolloutPart
from fleet.rollouts import driver, handing, parts, permissions, schedule, services
from fleet.rollouts.services import Wanted
from fleet.rollouts.targets import Targets
from tests.fleet.rollout_hosts import SimulatedHost, simulated_hosts

pytestmark = pytest.mark.django_db

PROGRAMS = [{"name": "web", "command": "serve", "user": "root"}]
APPLY = {"programs": PROGRAMS, "set": "shop"}
RESTART = {"action": "restart", "select": {"all": True}}


@pytest.fixture(autouse=True)
def without_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps are taken by the test, when it wants."""
    monkeypatch.setattr(services, "drive_soon", lambda: None)
    monkeypatch.setattr(driver, "async_task", lambda function, part, **options: parts.carry_out(part))


@pytest.fixture
def hosts() -> Iterator[list[SimulatedHost]]:
    with simulated_hosts(3) as three:
        yield three


def begin(kind: str = "apply", body: dict[str, Any] = APPLY, **options: Any) -> Rollout:
    targets = options.pop("targets", Targets())
    return services.begin(Wanted(kind=kind, body=body, targets=targets, **options), "alice")


def look(rollout: Rollout) -> dict[str, str]:
    """One turn of the driver, for which everything is due; the states of the hosts after it."""
    RolloutPart.objects.filter(state="running").update(due_at=timezone.now())
    driver.look()
    return states(rollout)


def states(rollout: Rollout) -> dict[str, str]:
    return dict(rollout.parts.order_by("place").values_list("host", "state"))


def run(rollout: Rollout, turns: int = 40) -> Rollout:
    """Look until it has ended, or is paused."""
    for _ in range(turns):
        look(rollout)
        rollout.refresh_from_db()
        if rollout.state not in ("running", "rolling_back"):
            return rollout
    raise AssertionError(f"{rollout.state} after {turns} turns: {states(rollout)}")


def errors(rollout: Rollout) -> list[str]:
    return list(rollout.parts.order_by("place").values_list("error", flat=True))


# Order


def test_hosts_are_changed_one_after_the_other_by_name(hosts: list[SimulatedHost]) -> None:
    rollout = begin()
    assert list(states(rollout).values()) == ["running", "pending", "pending"]
    seen = [look(rollout) for _ in range(4)]
    assert [list(each.values()).count("running") for each in seen] == [0, 0, 0, 0]
    assert [list(each.values()).count("succeeded") for each in seen] == [1, 2, 3, 3]
    rollout.refresh_from_db()
    assert (rollout.state, rollout.ended_at is not None) == ("succeeded", True)
    assert [host.done for host in hosts] == [["apply"]] * 3
    assert {person for host in hosts for person in host.asked_for} == {"alice"}
    assert set(HostCall.objects.values_list("user", "host", "path", "code")) == {
        ("alice", host.name, "/api/v1/daemon/programs/apply", 200) for host in hosts
    }


def test_so_many_hosts_at_a_time(hosts: list[SimulatedHost]) -> None:
    rollout = begin(at_once=2)
    assert list(states(rollout).values()) == ["running", "running", "pending"]
    handing.advance(rollout.pk)
    assert list(states(rollout).values()) == ["running", "running", "pending"]
    assert run(rollout).state == "succeeded"


def test_hosts_are_chosen_by_name_glob_and_label(hosts: list[SimulatedHost]) -> None:
    from daemon_programs.validators.labels import Selector

    def chosen(**targets: Any) -> list[str]:
        return [host.name for host in Targets(**targets).hosts()]

    assert chosen() == ["web-1", "web-2", "web-3"]
    assert chosen(names=["web-[12]"]) == ["web-1", "web-2"]
    assert chosen(names=["web-3", "db-*"]) == ["web-3"]
    assert chosen(labels=[Selector("number", "2")]) == ["web-2"]
    assert chosen(names=["web-1"], labels=[Selector("number", "2")]) == []
    with pytest.raises(HostNotFound, match="Host 'db-1' not found"):
        chosen(names=["db-1"])


def test_roll_out_without_hosts_succeeds_at_once() -> None:
    assert begin().state == "succeeded"


def test_batch_waits_for_what_it_starts(hosts: list[SimulatedHost]) -> None:
    for host in hosts:
        host.add("web")
    rollout = run(begin("batch", RESTART))
    assert rollout.state == "succeeded"
    assert [host.done for host in hosts] == [["restart"]] * 3
    assert rollout.parts.get(place=0).requests == [
        {"route": "programs/batch", "body": {**RESTART, "wait": True}}
    ]


# Failures


def test_it_stops_after_the_first_failure(hosts: list[SimulatedHost]) -> None:
    hosts[1].not_ready = "web"
    rollout = run(begin())
    assert rollout.state == "failed"
    assert list(states(rollout).values()) == ["succeeded", "failed", "skipped"]
    assert errors(rollout) == ["", "Program 'web' is fatal", "The roll-out stopped after 1 failure"]
    assert hosts[2].done == []


def test_it_goes_on_after_as_many_failures_as_allowed(hosts: list[SimulatedHost]) -> None:
    hosts[0].not_ready = "web"
    rollout = run(begin(max_failures=1))
    assert (rollout.state, list(states(rollout).values())) == ("failed", ["failed", "succeeded", "succeeded"])


def test_program_of_a_batch_that_fails_is_a_failure_of_the_host(hosts: list[SimulatedHost]) -> None:
    for host in hosts:
        host.add("web")
    hosts[0].not_ready = "web"
    rollout = run(begin("batch", RESTART))
    assert (rollout.state, errors(rollout)[0]) == ("failed", "Program 'web': It is fatal")


def test_host_that_is_lost_fails_at_once_or_is_skipped(hosts: list[SimulatedHost]) -> None:
    Link.objects.create(host=Host.objects.get(name="web-1"), state="lost", error="no answer")
    rollout = run(begin())
    assert list(states(rollout).values()) == ["failed", "skipped", "skipped"]
    assert errors(rollout)[0] == "Host 'web-1' is lost: no answer"
    rollout = run(begin(skip_lost=True))
    assert (rollout.state, list(states(rollout).values())) == (
        "succeeded",
        ["skipped", "succeeded", "succeeded"],
    )


def test_host_that_is_removed_meanwhile_fails(hosts: list[SimulatedHost]) -> None:
    rollout = begin(max_failures=3)
    Host.objects.filter(name="web-1").delete()
    run(rollout)
    assert errors(rollout)[0] == "Host 'web-1' not found"


def test_host_that_can_not_be_reached_is_tried_for_a_while(hosts: list[SimulatedHost]) -> None:
    hosts[0].shutdown()
    hosts[0].server_close()
    rollout = begin(max_failures=3)
    assert look(rollout)["web-1"] == "running"
    assert "can't be reached" in errors(rollout)[0]
    RolloutPart.objects.update(silent_since=timezone.now() - timedelta(seconds=31))
    run(rollout)
    assert list(states(rollout).values()) == ["failed", "succeeded", "succeeded"]


def test_host_that_is_no_daemon_fails(hosts: list[SimulatedHost]) -> None:
    hosts[0].is_no_daemon = True
    rollout = run(begin(max_failures=3))
    assert list(states(rollout).values()) == ["failed", "succeeded", "succeeded"]
    assert errors(rollout)[0] == "The host's answer can't be understood"


def test_what_the_database_can_not_keep_of_a_host_fails(
    hosts: list[SimulatedHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: Any) -> Any:
        raise DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")

    with monkeypatch.context() as patch:
        patch.setattr(parts.messages, "problem_of", refuse)
        rollout = run(begin())
    assert next(iter(states(rollout).values())) == "unknown"
    assert errors(rollout)[0].startswith("The host's answer can't be understood")


def test_token_that_can_not_be_read_fails(hosts: list[SimulatedHost]) -> None:
    Host.objects.filter(name="web-1").update(sealed_token="of another key")
    rollout = run(begin())
    assert states(rollout)["web-1"] == "failed"
    assert "was encrypted with another key" in errors(rollout)[0]


def test_host_that_is_busy_is_asked_again(hosts: list[SimulatedHost]) -> None:
    hosts[0].trouble = ["busy", "busy"]
    rollout = run(begin())
    assert (rollout.state, hosts[0].done) == ("succeeded", ["apply"])
    assert rollout.parts.get(place=0).attempts == 3


def test_programs_must_stay_well_for_so_long(hosts: list[SimulatedHost]) -> None:
    rollout = begin(settle_seconds=60)
    assert look(rollout)["web-1"] == "running"  # applied, and ready
    assert look(rollout)["web-1"] == "running"
    RolloutPart.objects.filter(place=0).update(settles_until=timezone.now())
    assert look(rollout)["web-1"] == "succeeded"
    look(rollout)
    hosts[1].programs["web"]["status"] = {"status": "backoff"}
    RolloutPart.objects.filter(place=1).update(settles_until=timezone.now())
    look(rollout)
    assert (states(rollout)["web-2"], errors(rollout)[1]) == ("failed", "Program 'web' is backoff")


# Steering


def test_paused_it_begins_with_no_host_and_goes_on_when_resumed(hosts: list[SimulatedHost]) -> None:
    rollout = begin()
    services.pause(rollout.pk, "bob")
    assert [look(rollout) for _ in range(2)][-1] == {
        "web-1": "succeeded",
        "web-2": "pending",
        "web-3": "pending",
    }
    assert services.pause(rollout.pk, "bob").state == "paused"
    services.resume(rollout.pk, "bob")
    assert run(rollout).state == "succeeded"
    assert [host.asked_for[0] for host in hosts] == ["alice", "bob", "bob"]


def test_it_may_begin_paused(hosts: list[SimulatedHost]) -> None:
    rollout = begin(paused=True)
    look(rollout)
    assert (rollout.state, set(states(rollout).values())) == ("paused", {"pending"})


def test_cancelled_it_completes_what_is_under_way(hosts: list[SimulatedHost]) -> None:
    rollout = begin()
    assert services.cancel(rollout.pk, "bob").ended_at is None
    look(rollout)
    look(rollout)
    rollout.refresh_from_db()
    assert (rollout.state, rollout.ended_at is not None) == ("cancelled", True)
    assert list(states(rollout).values()) == ["succeeded", "skipped", "skipped"]
    for verb in (services.pause, services.resume):
        with pytest.raises(Refused, match="has ended, and can't be"):
            verb(rollout.pk, "bob")


# Kills and lost answers: each host is changed once


@pytest.mark.parametrize("trouble", ["lose", "drop"])
@pytest.mark.parametrize(("kind", "body"), [("apply", APPLY), ("batch", RESTART)])
def test_answer_or_request_that_is_lost_is_found_out_about(
    hosts: list[SimulatedHost], kind: str, body: dict[str, Any], trouble: str
) -> None:
    hosts[0].trouble = [trouble]
    rollout = run(begin(kind, body))
    assert rollout.state == "succeeded"
    assert [len(host.done) for host in hosts] == [1, 1, 1]
    assert rollout.parts.get(place=0).answer["success"] is True


@pytest.mark.parametrize(("kind", "body"), [("apply", APPLY), ("batch", RESTART)])
def test_killed_after_a_request_it_goes_on_once_the_lease_is_over(
    hosts: list[SimulatedHost], monkeypatch: pytest.MonkeyPatch, kind: str, body: dict[str, Any]
) -> None:
    call = parts.client.call
    rollout = begin(kind, body)

    class Killed(BaseException):
        pass

    def kill(host: Host, method: str, *arguments: Any, **options: Any) -> Any:
        answer = call(host, method, *arguments, **options)
        if method == "POST":
            raise Killed
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(parts.client, "call", kill)
        patch.setattr(parts, "release", lambda part: None)
        with pytest.raises(Killed):
            look(rollout)
    assert hosts[0].done != []
    assert look(rollout)["web-1"] == "running"  # the lease is another's
    RolloutPart.objects.update(held_until=timezone.now())
    assert run(rollout).state == "succeeded"
    assert [len(host.done) for host in hosts] == [1, 1, 1]


@pytest.mark.parametrize("step", range(1, 6))
def test_killed_before_any_write_it_goes_on_from_the_one_before(
    hosts: list[SimulatedHost], monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    hosts[0].add("web")
    rollout = begin("batch", RESTART, targets=Targets(names=["web-1"]), settle_seconds=60)
    save = parts._Step._save
    writes: list[dict[str, Any]] = []

    class Killed(BaseException):
        pass

    def kill(self: Any, **changes: Any) -> None:
        writes.append(changes)
        if len(writes) == step:
            raise Killed
        save(self, **changes)

    with monkeypatch.context() as patch:
        patch.setattr(parts._Step, "_save", kill)
        patch.setattr(parts, "release", lambda part: None)
        try:
            for _ in range(3):
                look(rollout)
        except Killed:
            RolloutPart.objects.update(held_until=timezone.now())
    for _ in range(5):
        look(rollout)
    part = rollout.parts.get()
    assert (hosts[0].done, part.state, part.attempts) == (["restart"], "running", 1)
    assert part.settles_until is not None


def test_request_that_may_still_arrive_keeps_its_key(
    hosts: list[SimulatedHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts[0].add("web")
    hosts[0].trouble = ["drop"]
    rollout = begin("batch", RESTART, targets=Targets(names=["web-1"]))
    look(rollout)
    call = parts.client.call

    def away(host: Host, method: str, *arguments: Any, **options: Any) -> Any:
        if method == "POST":
            raise NoConnection("away")
        return call(host, method, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(parts.client, "call", away)
        look(rollout)
    part = rollout.parts.get()
    assert (part.attempts, part.sent_at is not None) == (1, True)
    assert run(rollout).state == "succeeded"
    assert list(hosts[0].kept) == [f"{part.key}-1"]


def test_host_that_no_longer_tells_what_has_become_of_a_request_is_given_up(
    hosts: list[SimulatedHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts[0].trouble = ["lose"]
    rollout = begin()
    look(rollout)
    monkeypatch.setattr(parts, "_PATIENCE_AFTER_SENDING", timedelta())
    hosts[0].has_keys = False  # the older version was installed meanwhile
    assert look(rollout)["web-1"] == "unknown"


def test_silences_that_are_over_do_not_count(hosts: list[SimulatedHost]) -> None:
    hosts[0].trouble = ["lose"]
    rollout = begin()
    look(rollout)
    part = rollout.parts.get(place=0)
    hosts[0].kept[f"{part.key}-1"] = {"state": "under_way"}
    rollout.parts.filter(place=0).update(silent_since=timezone.now())
    look(rollout)
    assert rollout.parts.get(place=0).silent_since is None


def test_host_that_is_removed_after_a_request_is_unknown(hosts: list[SimulatedHost]) -> None:
    hosts[0].trouble = ["lose"]
    rollout = begin(at_once=2, max_failures=1)
    look(rollout)
    Host.objects.filter(name="web-1").delete()
    assert look(rollout)["web-1"] == "unknown"
    assert errors(rollout)[0] == "Host 'web-1' not found: whether the host was changed is not known"


def test_queue_that_is_restarted_releases_its_own_leases_only(hosts: list[SimulatedHost]) -> None:
    rollout = begin(at_once=3)
    later = timezone.now() + timedelta(minutes=1)
    for place, holder in enumerate(
        (f"{parts._STACK}/old/x", "daemon-other/old/x", f"{parts._STACK}/{parts._PROCESS}/x")
    ):
        rollout.parts.filter(place=place).update(holder=holder, held_until=later)
    parts.release_left_over()
    assert [part.held_until is None for part in rollout.parts.order_by("place")] == [True, False, False]


def test_part_is_taken_by_one_only(hosts: list[SimulatedHost]) -> None:
    rollout = begin()
    part = rollout.parts.get(place=0)
    claimed = parts._claimed(part.pk)
    assert claimed is not None
    assert parts._claimed(part.pk) is None
    assert parts.carry_out(part.pk) == "not ours"
    assert hosts[0].done == []


def test_host_that_was_restarted_in_the_middle_is_asked_again_only_if_that_does_no_more(
    hosts: list[SimulatedHost],
) -> None:
    hosts[0].trouble = ["die"]
    assert run(begin()).state == "succeeded"
    assert hosts[0].done == ["apply"]
    hosts[0].trouble = ["die"]
    rollout = run(begin("batch", RESTART))
    assert (rollout.state, states(rollout)["web-1"]) == ("failed", "unknown")
    assert errors(rollout)[0] == "The host was restarted meanwhile: whether the host was changed is not known"
    assert hosts[0].done == ["apply", "restart"]


def test_older_host_is_never_restarted_twice() -> None:
    with simulated_hosts(1, has_keys=False) as [host]:
        host.trouble = ["lose"]
        assert run(begin()).state == "succeeded"
        assert host.done == ["apply"]  # the second time there was nothing to do
        host.trouble = ["lose"]
        rollout = run(begin("batch", RESTART))
        assert (states(rollout), host.done) == ({"web-1": "unknown"}, ["apply", "restart"])
        assert errors(rollout) == ["The answer was lost: whether the host was changed is not known"]


# The way back


def test_rolled_back_hosts_are_as_they_were(hosts: list[SimulatedHost]) -> None:
    for host in hosts:
        host.add("web", command="old")
        host.add("cron", set="shop")
        host.add("other", command="mine")
    before = [host.programs | {} for host in hosts]
    body = {
        "set": "shop",
        "prune": True,
        "programs": [*PROGRAMS, {"name": "new", "command": "n", "user": "root"}],
    }
    rollout = run(begin(body=body))
    assert rollout.state == "succeeded"
    assert set(hosts[0].programs) == {"web", "other", "new"}
    services.roll_back(rollout.pk, "bob")
    assert run(rollout).state == "rolled_back"
    assert set(states(rollout).values()) == {"rolled_back"}
    for host, was in zip(hosts, before, strict=True):
        assert {name: each["id"] for name, each in host.programs.items()} == {
            name: each["id"] for name, each in was.items()
        }
        assert (host.programs["web"]["command"], host.programs["cron"]["set"]) == ("old", "shop")
        assert "set" not in host.programs["web"]
        assert host.done == ["apply", "remove", "apply", "edit", "start"]
    assert hosts[0].asked_for[-1] == "bob"
    assert services.roll_back(rollout.pk, "bob").state == "rolled_back"


def test_only_hosts_that_were_changed_are_rolled_back_the_last_one_first(hosts: list[SimulatedHost]) -> None:
    hosts[2].not_ready = "web"
    rollout = run(begin())
    services.roll_back(rollout.pk, "bob")
    handing.advance(rollout.pk)
    assert list(states(rollout).values()) == ["succeeded", "succeeded", "running"]
    assert run(rollout).state == "rolled_back"
    assert [host.programs for host in hosts] == [{}, {}, {}]


def test_programs_that_others_have_changed_are_left_alone_until_it_is_asked_for_again(
    hosts: list[SimulatedHost],
) -> None:
    rollout = run(begin())
    hosts[0].programs["web"]["command"] = "theirs"
    services.roll_back(rollout.pk, "bob")
    assert run(rollout).state == "failed"
    assert list(states(rollout).values()) == ["failed", "rolled_back", "rolled_back"]
    assert errors(rollout)[0] == "Not rolled back: the programs have been changed again meanwhile"
    assert set(hosts[0].programs) == {"web"}
    services.roll_back(rollout.pk, "bob")
    assert run(rollout).state == "rolled_back"
    assert hosts[0].programs == {}


def test_lost_answer_on_the_way_back_is_found_out_about(hosts: list[SimulatedHost]) -> None:
    rollout = run(begin())
    for host in hosts:
        host.trouble = ["lose"]
    services.roll_back(rollout.pk, "bob")
    assert run(rollout).state == "rolled_back"
    assert [host.done for host in hosts] == [["apply", "remove"]] * 3


def test_batch_can_not_be_rolled_back(hosts: list[SimulatedHost]) -> None:
    with pytest.raises(Refused, match="there is no opposite"):
        services.roll_back(begin("batch", RESTART).pk, "bob")


# Beforehand


def test_the_way_back_takes_the_permission_to_remove_what_was_created() -> None:
    remove = "daemon_programs.delete_program"
    assert remove in permissions.needed_to_steer("rollback", "apply", {})
    assert remove not in permissions.needed_to_steer("resume", "apply", {})
    assert remove in permissions.needed_to_steer("resume", "apply", {"prune": True})


def test_rehearsal_shows_hosts_to_those_who_may_see_them() -> None:
    for kind, body in (("apply", {}), ("batch", {"action": "stop"})):
        assert {"fleet.view_host", "fleet.view_rollout", "daemon_programs.view_program"} <= set(
            permissions.needed_to_rehearse(kind, body)
        )


def test_rehearsal_asks_each_host_and_changes_nothing(hosts: list[SimulatedHost]) -> None:
    Link.objects.create(host=Host.objects.get(name="web-3"), state="lost")
    hosts[1].shutdown()
    hosts[1].server_close()
    one, two, three = services.rehearse(Wanted("apply", APPLY, Targets()), "alice")
    assert one["answer"]["plan"] == [{"name": "web", "id": None, "action": "create"}]
    assert "can't be reached" in two["error"]
    assert three == {"host": "web-3", "error": "Host 'web-3' is lost"}
    assert (hosts[0].done, Rollout.objects.count()) == ([], 0)


def test_only_the_latest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "_KEPT", 2)
    paused = begin(paused=True)
    made = [begin() for _ in range(4)]
    assert set(Rollout.objects.values_list("pk", flat=True)) == {paused.pk, made[2].pk, made[3].pk}


# The queue


def test_schedule_is_there_as_long_as_something_is_under_way(
    hosts: list[SimulatedHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr("django_q.tasks.async_task", lambda function, **options: told.append(function))
    monkeypatch.setattr(driver, "start", lambda: told.append("driver"))
    assert (schedule.schedules(), tasks.drive_rollouts()) == ([], False)
    rollout = begin()
    schedule.drive_soon()
    schedule.drive_soon()
    assert Schedule.objects.filter(name="drive roll-outs").count() == 1
    assert (schedule.schedules(), tasks.drive_rollouts()) == ([schedule.DRIVE], True)
    assert told == ["fleet.tasks.drive_rollouts", "fleet.tasks.drive_rollouts", "driver"]
    run(rollout)
    assert (schedule.schedules(), tasks.drive_rollouts()) == ([], False)
    assert not Schedule.objects.filter(name="drive roll-outs").exists()


def test_hub_that_shares_hosts_looks_for_what_others_have_begun(
    hosts: list[SimulatedHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(database, "is_shared", lambda: True)
    monkeypatch.setattr(driver, "start", lambda: told.append("driver"))
    assert (schedule.schedules(), tasks.drive_rollouts(), told) == ([schedule.DRIVE], True, ["driver"])
    rollout, pauses = begin(), []

    class Awake:
        """Wakes the driver until the roll-out is over, and it looks once more."""

        def clear(self) -> None: ...

        def wait(self, pause: float) -> None:
            if pauses and pauses[-1] == driver._IDLE_SECONDS:
                raise KeyboardInterrupt
            pauses.append(pause)

    monkeypatch.setattr(driver, "_awake", Awake())
    with pytest.raises(KeyboardInterrupt):
        driver._drive()
    rollout.refresh_from_db()
    assert (rollout.state, pauses[-1]) == ("succeeded", driver._IDLE_SECONDS)


def test_lease_ends_by_the_clock_of_the_database(
    hosts: list[SimulatedHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    part = begin().parts.get(place=0)
    assert parts._claimed(part.pk) is not None
    monkeypatch.setattr(timezone, "now", lambda: datetime.now(UTC) + timedelta(minutes=1))  # of this hub
    assert parts._claimed(part.pk) is None


def test_queue_that_is_away_does_not_fail_a_roll_out(
    hosts: list[SimulatedHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    def be_away(function: str, **options: Any) -> None:
        raise OSError("the queue is away")

    monkeypatch.setattr("django_q.tasks.async_task", be_away)
    begin()
    schedule.drive_soon()
    assert Schedule.objects.filter(name="drive roll-outs").exists()


def test_task_that_was_lost_is_queued_again(
    hosts: list[SimulatedHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    queued: list[int] = []
    monkeypatch.setattr(driver, "async_task", lambda function, part, **options: queued.append(part))
    rollout = begin()
    assert driver.look()
    assert driver.look()
    assert len(queued) == 1
    rollout.parts.update(due_at=timezone.now())  # ten seconds later
    driver.look()
    assert len(queued) == 2
