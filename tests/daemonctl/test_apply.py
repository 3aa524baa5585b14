"""``apply``, ``diff``, ``export``: files of programs at the terminal."""

from pathlib import Path
from typing import Any

import pytest

from daemonctl import plans
from daemonctl.manifest.write import to_yaml
from tests.daemonctl.conftest import Ctl, Open
from tests.processes import LONG_RUNNING
from tests.program_sets import SET
from tests.stack import OWN_USER, Api

SHOP = f"""
set: shop
defaults:
  user: {OWN_USER}
  environment:
    STAGE: ${{STAGE:-test}}
programs:
  - name: web
    command: sleep 1000
    boot: true
  - name: worker
    command: sleep 2000
    priority: 5
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    file = tmp_path / "shop.yaml"
    file.write_text(SHOP)
    return file


def ids(api: Api) -> dict[str, int]:
    return {each["name"]: each["id"] for each in api.get("programs").json()["programs"]}


def test_a_file_from_plan_to_plan(api: Api, ctl: Ctl, shop: Path) -> None:
    plan = ctl("diff", "-f", str(shop))
    assert plan.returncode == 1
    assert "+ worker\n+   command: sleep 2000\n" in plan.stdout
    assert plan.stdout.endswith("2 to create\n")
    assert ctl("apply", "-f", str(shop), "--dry-run").stdout == plan.stdout
    assert "web" not in ids(api)
    applied = ctl("apply", "-f", str(shop), "--wait")
    assert (applied.returncode, applied.stdout) == (0, plan.stdout + "Applied.\n"), applied.stderr
    assert api.word(ids(api)["web"]) == "running"
    same = ctl("diff", "-f", str(shop))
    assert (same.returncode, same.stdout) == (0, "2 unchanged\n")
    assert ctl("apply", "-f", str(shop)).stdout == "2 unchanged\n"
    assert ctl("apply", "-f", str(shop), "--wait").stdout.endswith("All programs that run are ready.\n")
    # A change by other means is seen, and corrected.
    api.ok(f"programs/edit/{ids(api)['worker']}", {"priority": 7})
    assert "~ worker\n-   priority: 7\n+   priority: 5\n" in ctl("diff", "-f", str(shop)).stdout
    live = ctl("apply", "-f", str(shop), STAGE="live")
    assert "~ web (restarts)\n-   environment.STAGE: test\n+   environment.STAGE: live\n" in live.stdout
    assert live.stdout.endswith("2 to change, 1 to restart\nApplied.\n")
    shop.write_text(SHOP[: SHOP.index("  - name: worker")])
    assert "worker" not in ctl("diff", "-f", str(shop), STAGE="live").stdout
    assert ctl("apply", "-f", str(shop), "--prune", STAGE="live").stdout == (
        "- worker\n1 to remove, 1 unchanged\nApplied.\n"
    )


def test_a_terminal_is_asked_before_something_ends(api: Api, terminal: Open, shop: Path) -> None:
    made = terminal("apply", "-f", str(shop), "--wait")  # which ends nothing
    assert made.ended() == 0
    pid = api.pid(ids(api)["web"])
    shop.write_text(SHOP.replace("sleep 1000", "sleep 3000"))
    asked = terminal("apply", "-f", str(shop))
    asked.until("Apply this? [y/N]")
    assert "\x1b[31m-   command: sleep 1000\x1b[0m" in asked.shown
    assert "\x1b[32m+   command: sleep 3000\x1b[0m" in asked.shown
    asked.type("n\n")
    assert asked.ended() == 1
    assert api.pid(ids(api)["web"]) == pid
    # A plan is only made if it is still the one that was shown.
    outdated = terminal("apply", "-f", str(shop))
    outdated.until("Apply this? [y/N]")
    api.ok(f"programs/edit/{ids(api)['worker']}", {"description": "meanwhile"})
    outdated.type("y\n")
    assert outdated.ended() == 1
    assert "The programs are not as they were in the revision that was given" in outdated.shown
    assert api.pid(ids(api)["web"]) == pid
    unasked = terminal("apply", "-f", str(shop), "--yes")
    assert unasked.ended() == 0
    assert api.until(ids(api)["web"], "running", "starting")["status"].get("pid") != pid


def test_problems_are_all_told(api: Api, ctl: Ctl, shop: Path) -> None:
    shop.write_text(SHOP.replace("priority: 5", "priority: 0").replace("boot: true", "bot: true"))
    refused = ctl("apply", "-f", str(shop))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == (
        "Program 'web': Unknown field 'bot'\nProgram 'worker': Field 'priority' must be between 1 and 999\n"
    )
    assert ctl("diff", "-f", str(shop)).returncode == 2
    assert ctl("diff", "-f", str(shop), DAEMON_BIND="127.0.0.1:1").returncode == 4
    shop.write_text(SHOP.replace("boot: true", "boot: yes"))
    assert f"{shop}, line 10: 'yes' means" in ctl("apply", "-f", str(shop)).stderr
    assert ctl("apply", "-f", str(shop), "--prune", "--set", "no set").returncode == 1
    fails = [
        {"name": name, "command": "sh -c 'exit 3'", "user": OWN_USER, "boot": True, "start_retries": 0}
        for name in ("one", "two")
    ]
    shop.write_text(to_yaml({"programs": fails}))
    failed = ctl("apply", "-f", str(shop), "--rollback")
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[0].endswith("the former configuration is back")
    assert "one" not in ids(api)


def test_what_is_exported_is_unchanged_when_it_is_applied(api: Api, ctl: Ctl, tmp_path: Path) -> None:
    programs = [{"user": OWN_USER, **each} for each in SET]
    api.ok("programs/apply", {"programs": programs})
    for form in ("yaml", "json"):
        file = tmp_path / f"all.{form}"
        file.write_text(ctl("export", "-o", form, *(each["name"] for each in SET)).stdout)
        same = ctl("diff", "-f", str(file))
        assert (same.returncode, same.stdout) == (0, f"{len(SET)} unchanged\n"), same.stderr


def test_export_prints_what_a_person_would_have_written(api: Api, ctl: Ctl, shop: Path) -> None:
    assert ctl("apply", "-f", str(shop)).returncode == 0
    api.add(LONG_RUNNING, name="other", labels={"a": "b"})
    url = api.base.removesuffix("/api/v1/daemon")
    assert ctl("export", "--set", "shop").stdout == (
        f"# yaml-language-server: $schema={url}/api/programs.schema.json\n"
        "set: shop\nprograms:\n"
        f"  - name: web\n    command: sleep 1000\n    boot: true\n    user: {OWN_USER}\n"
        "    environment:\n      STAGE: test\n\n"
        f"  - name: worker\n    command: sleep 2000\n    user: {OWN_USER}\n"
        "    environment:\n      STAGE: test\n    priority: 5\n"
    )
    mixed = ctl("export", "worker", "a=b").stdout
    assert "    set: shop\n" in mixed
    assert "\nset:" not in mixed
    assert ctl("export", "nothing").returncode == 3
    everything = ctl("export").stdout
    assert ctl("diff", "-f", "-").returncode == 2  # an empty standard input
    assert everything.count("  - name: ") == len(ids(api))


@pytest.mark.parametrize(
    ("former", "wanted", "lines"),
    [
        (
            {"A": "1", "B": "1"},
            {"A": "2", "C": "3"},
            ["-   f.A: 1", "+   f.A: 2", "-   f.B: 1", "+   f.C: 3"],
        ),
        (None, {"A": "1"}, ["+   f.A: 1"]),
        ({"A": "1"}, None, ["-   f.A: 1"]),
        ("a", "a\nb", ["-   f: a", '+   f: "a\\nb"']),
        ("", " ", ['-   f: ""', '+   f: " "']),
        ([1], None, ["-   f: [1]"]),
        (False, True, ["-   f: false", "+   f: true"]),
        ("one.env", ["one.env", "two.env"], ["-   f: one.env", '+   f: ["one.env", "two.env"]']),
    ],
)
def test_values_in_a_plan(former: Any, wanted: Any, lines: list[str]) -> None:
    step = {
        "name": "p",
        "action": "change",
        "restarts": False,
        "stops": False,
        "changes": [{"field": "f", "from": former, "to": wanted}],
    }
    counts = {"create": 0, "change": 1, "unchanged": 0, "remove": 0, "restarts": 0, "stops": 0}
    assert plans.text_of({"plan": [step], "counts": counts}).splitlines() == ["~ p", *lines, "1 to change"]
