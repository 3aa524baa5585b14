"""Programs with ``boot`` start in the order of their priorities, the rest come back as configured."""

import os
import random
import re
import signal
from collections.abc import Callable

import pytest

from tests.drills import ROUNDS, SEED
from tests.stack import Stack, eventually

PROGRAMS = 60


def spawned(stack: Stack, since: int) -> list[int]:
    """The ids of the programs in the order that supervisord has started them."""
    log = (stack.folder / "stack-logs" / "supervisord.log").read_text()[since:]
    return [int(id) for id in re.findall(r"spawned: 'program-(\d+)'", log)]


def stop(stack: Stack) -> None:
    assert stack.stop() == 0


def kill(stack: Stack) -> None:
    os.kill(stack.supervisord_pid, signal.SIGKILL)
    assert stack.process is not None
    stack.process.wait()


@pytest.mark.parametrize("end", [stop, kill])
def test_priorities_are_the_order_of_the_start(own_stack: Stack, end: Callable[[Stack], None]) -> None:
    print(f"DRILL_SEED={SEED}")
    chance = random.Random(SEED)
    api = own_stack.start().api
    priorities = {
        api.add("sleep 1000", name=f"{number}", priority=chance.randint(1, 999)): 0
        for number in range(PROGRAMS)
    }
    for program in api.get("programs").json()["programs"]:
        if program["id"] in priorities:
            priorities[program["id"]] = program["priority"]
    boots = set(chance.sample(sorted(priorities), PROGRAMS // 2))
    disabled = set(chance.sample(sorted(priorities), PROGRAMS // 5))
    for id in priorities:
        changes = {"boot": id in boots, "enabled": id not in disabled}
        api.ok(f"programs/edit/{id}", changes)
    wanted = boots - disabled
    for _ in range(ROUNDS):
        end(own_stack)
        since = len((own_stack.folder / "stack-logs" / "supervisord.log").read_text())
        api = own_stack.start().api
        order = eventually(lambda since=since: len(ids := spawned(own_stack, since)) >= len(wanted) and ids)
        assert set(order) == wanted
        assert [priorities[id] for id in order] == sorted(priorities[id] for id in order)
        words = {status["id"]: status["status"]["status"] for status in api.get("status").json()["statuses"]}
        assert all(words[id] == "stopped" for id in set(priorities) - wanted)
        for program in api.get("programs").json()["programs"]:
            if program["id"] in priorities:
                configured = program["boot"], program["enabled"], program["priority"]
                id = program["id"]
                assert configured == (id in boots, id not in disabled, priorities[id])
    print(f"{ROUNDS} starts of {len(wanted)} programs, each in the order of the priorities")
