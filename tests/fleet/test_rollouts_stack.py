"""Roll-outs of a real hub over a real host: its queue killed, its pages, its command line."""

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.admin_client import AdminClient, create_users, messages_of, text_of
from tests.daemonctl.conftest import COMMAND, environment
from tests.fleet.hubs import add_host
from tests.processes import LONG_RUNNING
from tests.stack import OWN_USER, PROJECT, Api, Stack, eventually, temporary_stack
from tests.temporary_programs import own_processes

NAMES = ("web-1", "web-2", "web-3")  # of one and the same stack, which is enough to count what was done


@pytest.fixture(scope="module")
def hub(stack: Stack) -> Iterator[Stack]:
    with temporary_stack() as own:
        own.start()
        for name in NAMES:
            add_host(own, stack, name, labels={"number": name[-1]})
        yield own


def until(hub: Stack, id: int, check: Callable[[dict[str, Any]], Any], timeout: float = 60) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        rollout: dict[str, Any] = hub.api.get(f"fleet/rollouts/{id}").json()["rollout"]
        return rollout if check(rollout) else None

    found: dict[str, Any] = eventually(look, timeout, f"roll-out {id}")
    return found


def has_ended(rollout: dict[str, Any]) -> bool:
    return rollout["state"] in ("succeeded", "failed", "cancelled", "rolled_back") and "ended_at" in rollout


def starts_of(api: Api, id: int) -> int:
    events = api.get(f"programs/{id}/events", limit=1000).json()["events"]
    return [each["state"] for each in events].count("starting")


def queue_of(hub: Stack) -> psutil.Process:
    [main] = [each for each in own_processes(hub, "scheduler") if each.ppid() == hub.supervisord_pid]
    return main


def programs(api: Api) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in api.get("programs", include_status="true").json()["programs"]}


def test_queue_that_is_killed_goes_on_and_each_host_is_changed_once(hub: Stack, api: Api) -> None:
    id = api.add(LONG_RUNNING, name="restarted")
    api.ok(f"programs/{id}/start", {"wait": True})
    before = starts_of(api, id)
    body = {"hosts": {"names": ["web-*"]}, "action": "restart", "select": {"names": ["restarted"]}}
    begun = hub.api.ok("fleet/batch", body)["rollout"]
    assert [part["state"] for part in begun["parts"]] == ["running", "pending", "pending"]
    for succeeded in (1, 2):
        until(hub, begun["id"], lambda rollout, count=succeeded: rollout["counts"]["succeeded"] >= count)
        queue_of(hub).kill()
    ended = until(hub, begun["id"], has_ended)
    assert (ended["state"], ended["counts"]["succeeded"]) == ("succeeded", 3)
    assert [part["attempts"] for part in ended["parts"]] == [1, 1, 1]
    eventually(lambda: starts_of(api, id) == before + 3, what="three restarts are recorded")
    assert ended["parts"][0]["answer"]["results"] == [{"id": id, "name": "restarted", "result": "done"}]


def test_apply_and_the_way_back_on_a_real_host(hub: Stack, api: Api) -> None:
    taken = api.add(LONG_RUNNING, name="taken", description="as it was")
    pruned = api.add(LONG_RUNNING, name="pruned", set="rolled", boot=False)
    for id in (taken, pruned):
        api.ok(f"programs/{id}/start", {"wait": True})
    body = {
        "hosts": {"labels": ["number=2"]},
        "set": "rolled",
        "prune": True,
        "defaults": {"user": OWN_USER, "command": LONG_RUNNING},
        "programs": [{"name": "taken"}, {"name": "created", "boot": True}],
        "wait": True,
    }
    done = hub.api.ok("fleet/apply", body)["rollout"]
    assert (done["state"], done["parts"][0]["answer"]["counts"]["remove"]) == ("succeeded", 1)
    assert {"taken", "created"} <= programs(api).keys()
    hub.api.ok(f"fleet/rollouts/{done['id']}/rollback")
    back = until(hub, done["id"], has_ended)
    assert (back["state"], back["parts"][0]["state"]) == ("rolled_back", "rolled_back"), back
    now = programs(api)
    assert "created" not in now
    assert (now["taken"]["id"], now["taken"]["description"], "set" in now["taken"]) == (
        taken,
        "as it was",
        False,
    )
    assert (now["pruned"]["id"], now["pruned"]["set"], now["pruned"]["status"]["status"]) == (
        pruned, "rolled", "running",
    )  # fmt: skip


def test_host_on_which_a_program_fails_goes_back_by_itself(hub: Stack, api: Api) -> None:
    body = {
        "hosts": {"names": ["web-1", "web-2"]},
        "programs": [
            {"name": "fails", "command": "false", "user": OWN_USER, "boot": True, "start_retries": 0}
        ],
        "rollback": True,
        "wait": True,
    }
    ended = hub.api.ok("fleet/apply", body)["rollout"]
    assert (ended["state"], [part["state"] for part in ended["parts"]]) == ("failed", ["failed", "skipped"])
    assert "the former configuration is back" in ended["parts"][0]["error"]
    assert "fails" not in programs(api)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "Field 'hosts' is required"),
        ({"hosts": {}}, "Field 'hosts' must name hosts: by names or labels, or all: true"),
        (
            {"hosts": {"all": True, "names": ["a"]}},
            "Field 'hosts' can't be combined: all is without other fields",
        ),
        ({"hosts": {"all": True}, "at_once": 0}, "Field 'at_once' must be between 1 and 100"),
        ({"hosts": {"all": True}, "revision": "x"}, "Unknown field 'revision'"),
        (
            {"hosts": {"all": True}, "dry_run": True, "wait": True},
            "Field 'wait' can't be combined with dry_run",
        ),
        ({"hosts": {"all": True}, "prune": True}, "Field 'prune' needs set: only its programs go"),
    ],
)
def test_what_makes_no_sense_is_refused(hub: Stack, body: dict[str, Any], sentence: str) -> None:
    assert hub.api.refused("fleet/apply", {"programs": [], **body}) == sentence


def test_unknown_hosts_and_roll_outs_are_not_found(hub: Stack) -> None:
    body = {"hosts": {"names": ["db-1"]}, "programs": []}
    assert hub.api.refused("fleet/apply", body, 404) == "Host 'db-1' not found"
    assert hub.api.get("fleet/rollouts/999").json()["error"] == "Roll-out 999 not found"
    assert hub.api.refused("fleet/rollouts/x/pause", None, 404) == "Roll-out x not found"


def test_permissions_are_those_of_hosts_and_of_the_hosts_route(hub: Stack, api: Api) -> None:
    made = hub.manage("shell", "-v", "0", "-c", _USERS)
    clients = {line.split()[0]: hub.client(line.split()[1]) for line in made.stdout.splitlines()}
    apply = {"hosts": {"all": True}, "programs": [], "paused": True}
    batch = {"hosts": {"all": True}, "action": "stop", "select": {"names": ["x*"]}, "paused": True}
    for route, body in (("apply", apply), ("batch", batch)):
        for person in ("viewer", "local", "remote", "none"):
            clients[person].refused(f"fleet/{route}", body, 403)
        id = clients["operator"].ok(f"fleet/{route}", body)["rollout"]["id"]
        for person in ("viewer", "local", "remote"):
            clients[person].refused(f"fleet/rollouts/{id}/cancel", None, 403)
        assert clients["viewer"].get(f"fleet/rollouts/{id}").json()["rollout"]["user"] == "api-operator"
        assert clients["local"].get(f"fleet/rollouts/{id}").status_code == 403
        clients["operator"].ok(f"fleet/rollouts/{id}/cancel")
    rehearsed = {"hosts": {"all": True}, "programs": [], "dry_run": True}
    plans = clients["viewer"].ok("fleet/apply", rehearsed)["hosts"]
    assert [(each["host"], each["answer"]["dry_run"]) for each in plans] == [(name, True) for name in NAMES]


_USERS = """
from django.contrib.auth.models import Group, Permission, User
from hoody_site.access.models import ApiToken
PROGRAMS = ["view_program", "add_program", "change_program", "operate_program"]
for name, group, codenames in [
    ("viewer", "viewers", []), ("operator", "operators", []), ("none", None, []),
    ("local", None, PROGRAMS),
    ("remote", None, ["view_host", "view_rollout", "operate_host", "view_program"]),
]:
    user = User.objects.create_user(f"api-{name}")
    user.groups.set(Group.objects.filter(name=group))
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    print(name, ApiToken.issue(user, "test"))
"""


def test_at_the_command_line(hub: Stack, api: Api, tmp_path: Path) -> None:
    def ctl(*arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [*COMMAND, *arguments], cwd=PROJECT, env=environment(hub, tmp_path), text=True,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    file = tmp_path / "shop.yaml"
    file.write_text(
        f"set: ctl\nprograms:\n  - name: ctl\n    command: {LONG_RUNNING}\n    user: {OWN_USER}\n"
    )
    shown = ctl("rollout", "apply", "-f", str(file), "--hosts", "web-1", "--dry-run")
    assert shown.startswith("web-1:\n  + ctl\n")
    assert "ctl" not in programs(api)
    shown = ctl("rollout", "apply", "-f", str(file), "--hosts", "web-1", "--watch")
    assert "web-1: succeeded\n" in shown
    id = hub.api.get("fleet/rollouts").json()["rollouts"][0]["id"]
    assert shown.endswith(f"Roll-out {id} (apply): succeeded, 1 succeeded\n")
    assert ctl("rollout", "status", str(id)).splitlines()[1:] == [
        "HOST   STATE      WHAT",
        "web-1  succeeded",
    ]
    assert f"{id}" in ctl("rollout", "status")
    assert ctl("rollout", "rollback", str(id), "--watch").endswith("rolled_back, 1 rolled_back\n")
    assert ctl("rollout", "batch", "stop", "ctl*", "--all-hosts", "--dry-run").splitlines() == [
        f"{name}: nothing to do" for name in NAMES
    ]
    begun = ctl("rollout", "batch", "stop", "ctl*", "--host-label", "number=3", "--paused")
    id += 1
    assert begun == f"Roll-out {id} (batch): paused, 1 pending\n"
    assert ctl("rollout", "cancel", str(id)) == f"Roll-out {id} (batch): cancelled, 1 skipped\n"
    ctl("rollout", "status", str(id), code=1)
    ctl("rollout", "batch", "stop", "ctl*", code=2)


def test_in_the_admin(hub: Stack) -> None:
    create_users(hub, iterations=1)
    body = {"hosts": {"all": True}, "programs": [], "paused": True}
    id = hub.api.ok("fleet/apply", body)["rollout"]["id"]
    boss, viewer = AdminClient(hub), AdminClient(hub, "viewer")
    assert "3 pending" in text_of(boss.page("fleet/rollout/"))
    page = boss.page(f"fleet/rollout/{id}/change/")
    rows = re.findall(r"<tr>(.*?)</tr>", page, re.S)
    assert "web-2 pending 0" in [text_of(row.replace("<td>", " ")) for row in rows]
    assert [name for name in ("pause", "resume", "cancel", "rollback") if f'value="{name}"' in page] == [
        "resume", "cancel", "rollback",
    ]  # fmt: skip
    assert 'name="verb"' not in viewer.page(f"fleet/rollout/{id}/change/")
    assert viewer.post(f"fleet/rollout/{id}/steer/", {"verb": "cancel"}).status_code == 403
    assert AdminClient(hub, "changer").get("fleet/rollout/").status_code == 403
    answer = boss.post(f"fleet/rollout/{id}/steer/", {"verb": "cancel"}, follow=True)
    assert messages_of(answer) == [f"Cancelled: roll-out {id} (apply)."]
    answer = boss.post(f"fleet/rollout/{id}/steer/", {"verb": "pause"}, follow=True)
    assert messages_of(answer) == [f"“roll-out {id} (apply)”: Roll-out {id} has ended, and can't be paused"]
    assert boss.post(f"fleet/rollout/{id}/steer/", {"verb": "explode"}).status_code == 404


def test_stack_without_roll_outs_has_no_schedule_for_them(stack: Stack) -> None:
    script = "from django_q.models import Schedule; print([s.name for s in Schedule.objects.all()])"
    assert "drive roll-outs" not in stack.manage("shell", "-v", "0", "-c", script).stdout
