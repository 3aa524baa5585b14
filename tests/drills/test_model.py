"""Random sequences of calls and kills, compared with a small model.

The model knows of each program whether it is there, whether it is enabled, and whether it should run; and of
each launch whether it lives. After each step the API must agree, and after each sequence all other sources.
``DRILL_EXAMPLES`` is the number of sequences; ``DRILL_SEED`` gives others in a long run.
"""

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.drills import ROUNDS, SEED
from tests.drills.consistency import agree, explained, marked, settle
from tests.processes import is_alive
from tests.stack import OWN_USER, Api, Stack, eventually, temporary_stack
from tests.temporary_programs import api_pid

IS_SHORT = ROUNDS < 2
EXAMPLES = int(os.environ.get("DRILL_EXAMPLES", "2" if IS_SHORT else "50"))


@dataclass(frozen=True)
class Kind:
    """What a program does, and the statuses that it may have when it was started, and when it was stopped."""

    fields: dict[str, Any]
    up: set[str]
    down: set[str]


KINDS = {
    "stays": Kind({"command": "sleep 1000"}, {"starting", "running"}, {"stopped"}),
    "ends": Kind({"command": "true"}, {"starting", "exited"}, {"stopped", "exited"}),
    "fails": Kind({"command": "false"}, {"starting", "backoff", "fatal"}, {"stopped", "fatal"}),
    "ports": Kind({"command": "sh -c 'exec sleep 1000'"}, {"starting", "running"}, {"stopped"}),
}
# Few of them, so that sequences come back to the same ones.
IDS = st.integers(11, 13)
FLAGS = st.booleans()


@dataclass
class Program:
    """The expected state of a program. ``up`` is None if it can't be known whether it has given up yet."""

    id: int
    kind: str
    enabled: bool
    boot: bool
    up: bool | None = False
    description: str = ""

    def __post_init__(self) -> None:
        self.start_over()

    def start_over(self) -> None:
        """Model the registration with a supervisord that does not know the program."""
        self.up = self.enabled and self.boot

    @property
    def document(self) -> dict[str, Any]:
        """Return the body of its add request."""
        fields = {**KINDS[self.kind].fields, "user": OWN_USER, "name": f"program {self.id}"}
        if self.kind == "ports":
            fields["port_range"] = {"start": 30000 + 2 * self.id, "end": 30001 + 2 * self.id}
        return {**fields, "id": self.id, "enabled": self.enabled, "boot": self.boot}

    @property
    def statuses(self) -> set[str]:
        kind = KINDS[self.kind]
        return kind.up | kind.down if self.up is None else kind.up if self.up else kind.down

    @property
    def every(self) -> dict[str, bool]:
        """Return the body that addresses all instances."""
        return {"all": True} if self.kind == "ports" else {}


@dataclass
class Model:
    programs: dict[int, Program] = field(default_factory=dict)
    launches: dict[str, bool] = field(default_factory=dict)  # whether it lives

    def everything_ends(self) -> None:
        """Model the end of supervisord: the next one starts programs with `boot`."""
        for program in self.programs.values():
            program.start_over()
        self.launches = dict.fromkeys(self.launches, False)


class Machine(RuleBasedStateMachine):
    """The steps. Each makes a request and derives the expected response from the model."""

    stack: Stack

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.api: Api = self.stack.api
        self.steps = 0
        self.restarts = 0

    def ask(self, id: int, route: str, body: dict[str, Any]) -> Program | None:
        """Make a request that is refused only for an unknown program."""
        program = self.model.programs.get(id)
        if program is None:
            assert self.api.refused(route, body, 404) == f"Program with ID {id} not found"
        else:
            self.api.ok(route, body)
        return program

    def ask_enabled(self, id: int, verb: str, body: dict[str, Any]) -> Program | None:
        """Make a request that is refused for an unknown or a disabled program."""
        program = self.model.programs.get(id)
        if program is None or program.enabled:
            every = program.every if program else {}
            return self.ask(id, f"programs/{id}/{verb}", {**every, **body})
        sentence = self.api.refused(f"programs/{id}/{verb}", {**program.every, **body})
        assert sentence == f"Program with ID {id} is disabled"
        return None

    # Programs

    @rule(id=IDS, kind=st.sampled_from(sorted(KINDS)), enabled=FLAGS, boot=FLAGS)
    def add(self, id: int, kind: str, enabled: bool, boot: bool) -> None:
        program = Program(id, kind, enabled, boot)
        if id in self.model.programs:
            assert "already in use" in self.api.refused("programs/add", program.document)
        else:
            self.api.ok("programs/add", program.document)
            self.model.programs[id] = program

    @rule(id=IDS)
    def describe(self, id: int) -> None:
        """Make a change that does not restart a running program."""
        self.steps += 1
        before = self.pids()
        if program := self.ask(id, f"programs/edit/{id}", {"description": str(self.steps)}):
            program.description = str(self.steps)
            if program.kind in ("stays", "ports"):
                assert {**self.pids(), **before} == self.pids(), "it was restarted for nothing"

    @rule(id=IDS)
    def change_environment(self, id: int) -> None:
        """Make a change that restarts a running program, and leaves an ended one ended."""
        self.steps += 1
        program = self.ask(id, f"programs/edit/{id}", {"environment": {"STEP": str(self.steps)}})
        if program and program.enabled and program.up is not False:
            program.up = {"ends": False, "fails": None}.get(program.kind, True)

    @rule(id=IDS)
    def enable(self, id: int) -> None:
        program = self.ask(id, f"programs/{id}/enable", {})
        if program and not program.enabled:
            program.enabled = True
            program.start_over()

    @rule(id=IDS)
    def disable(self, id: int) -> None:
        if program := self.ask(id, f"programs/{id}/disable", {}):
            program.enabled = program.up = False

    @rule(id=IDS)
    def start(self, id: int) -> None:
        if program := self.ask_enabled(id, "start", {"if_not_running": True}):
            program.up = True

    @rule(id=IDS)
    def start_and_wait(self, id: int) -> None:
        program = self.model.programs.get(id)
        if program and program.enabled and program.kind == "fails":
            body = {"if_not_running": True, "wait": True}
            assert "did not start" in self.api.refused(f"programs/{id}/start", body)
            program.up = True
        elif program := self.ask_enabled(id, "start", {"if_not_running": True, "wait": True}):
            program.up = True
            if program.kind == "stays":
                assert self.api.word(id) == "running"
                assert self.api.ok(f"programs/{id}/start") == {"success": True}

    @rule(id=IDS)
    def stop(self, id: int) -> None:
        program = self.model.programs.get(id)
        if program := self.ask(id, f"programs/{id}/stop", program.every if program else {}):
            program.up = False

    @rule(id=IDS)
    def restart(self, id: int) -> None:
        program = self.model.programs.get(id)
        was_up = program and program.up
        if program := self.ask_enabled(id, "restart", {}):
            # Running instances of a port range are restarted.
            program.up = True if program.kind != "ports" else was_up

    @rule(id=IDS)
    def remove(self, id: int) -> None:
        if self.ask(id, f"programs/remove/{id}", {}):
            del self.model.programs[id]

    # Whole sets

    @rule()
    def reset(self) -> None:
        self.api.ok("programs/reset")
        defaults = json.loads((self.stack.folder / "programs.default.json").read_text())["programs"]
        self.model.programs = {
            each["id"]: Program(
                each["id"], "stays", enabled=False, boot=False, description=each["description"]
            )
            for each in defaults
        }

    @rule(kind=st.sampled_from(sorted(KINDS)), boot=FLAGS)
    def bring_in(self, kind: str, boot: bool) -> None:
        """Import a set of one new program, which replaces all others."""
        program = Program(max({13, *self.model.programs}) + 1, kind, enabled=True, boot=boot)
        exchange_all(self.stack, [program.document])
        self.model.programs = {program.id: program}

    # Launches

    @rule(kind=st.sampled_from(["stays", "ends", "fails"]), wait=FLAGS)
    def launch(self, kind: str, wait: bool) -> None:
        fields = {"user": OWN_USER, "autorestart": "false", **KINDS[kind].fields}
        answer = self.api.ok("quick-start", {**fields, "wait": wait})
        expected = {"stays": "running"}.get(kind, "exited") if wait else "starting"
        assert answer["status"] == expected
        self.model.launches[answer["temporary_id"]] = kind == "stays"

    @rule(index=st.integers(0, 9))
    def end_launch(self, index: int) -> None:
        """Stop a launch, live or ended."""
        if not (ids := sorted(self.model.launches)):
            assert self.api.refused("quick-start/quick_1/stop", code=404).endswith("not found")
            return
        id = ids[index % len(ids)]
        assert self.api.ok(f"quick-start/{id}/stop")["cleaned_up"] is True
        self.model.launches[id] = False

    # Kills

    @rule(id=IDS)
    def kill_program(self, id: int) -> None:
        """Kill a process, which is then restarted, since its stop was not requested."""
        for process in self.processes(f"program-{id}"):
            process.kill()
            eventually(lambda process=process: not is_alive(process))

    @rule(index=st.integers(0, 1))
    def kill_api(self, index: int) -> None:
        self.kill_part("api", index)
        eventually(lambda: api_pid(self.stack), 60, "the API is back")

    @rule()
    def kill_listener(self) -> None:
        self.kill_part("listener", 0)

    @rule(index=st.integers(0, 4))
    def kill_queue(self, index: int) -> None:
        self.kill_part("scheduler", index)

    @rule(signum=st.sampled_from([signal.SIGKILL, signal.SIGTERM]))
    def restart_supervisord(self, signum: signal.Signals) -> None:
        """Restart supervisord, but only a few times in a sequence, since it is slow."""
        self.restarts += 1
        if self.restarts > (1 if IS_SHORT else 3):
            return
        process = self.stack.process
        assert process
        process.send_signal(signum)
        process.wait(60)
        self.stack.start()
        self.model.everything_ends()

    def kill_part(self, part: str, index: int) -> None:
        processes = self.processes(part)
        if index < len(processes):
            processes[index].kill()
            eventually(lambda: not is_alive(processes[index]))

    def processes(self, group: str) -> list[psutil.Process]:
        found = [each for (name, _), some in marked(self.stack).items() if name == group for each in some]
        return sorted(found, key=lambda process: process.pid)

    def pids(self) -> dict[int, int]:
        """Return the processes of programs that run permanently."""
        statuses = self.api.get("status").json()["statuses"]
        return {
            each["id"]: each["status"]["pid"]
            for each in statuses
            if each["status"]["status"] == "running" and "pid" in each["status"]
        }

    # The checks

    @invariant()
    def the_api_tells_what_the_model_says(self) -> None:
        settle(lambda: list(self.disagreements()), 30)

    def disagreements(self) -> Iterator[str]:
        listed = {
            row["id"]: (row["enabled"], row["boot"], row["description"])
            for row in self.api.get("programs").json()["programs"]
        }
        wanted = {
            id: (program.enabled, program.boot, program.description)
            for id, program in self.model.programs.items()
        }
        if listed != wanted:
            yield f"there are {listed}, and should be {wanted}"
        for row in self.api.get("status").json()["statuses"]:
            program = self.model.programs.get(row["id"])
            if program and row["status"]["status"] not in program.statuses:
                yield f"{row['name']} is {row['status']['status']}: {program}"
        live = {each["temporary_id"] for each in self.api.get("quick-start").json()["ephemeral_programs"]}
        if live != (lives := {id for id, lives in self.model.launches.items() if lives}):
            yield f"the launches {live} live, and should {lives}"

    def teardown(self) -> None:
        """Check all other sources, also for ended launches; then remove everything."""
        agree(self.stack)
        for id, lives in self.model.launches.items():
            assert lives or "last_run" in self.api.get(f"quick-start/{id}/status").json()
            self.api.ok(f"quick-start/{id}/stop")
        exchange_all(self.stack, [])
        agree(self.stack)


def exchange_all(stack: Stack, documents: list[dict[str, Any]]) -> None:
    """Make the programs those of the documents."""
    file = stack.folder / "set.json"
    file.write_text(json.dumps(documents))
    done = stack.manage("import_programs", str(file))
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def modelled() -> Iterator[Stack]:
    with temporary_stack() as stack:
        stack.start()
        exchange_all(stack, [])
        yield stack
        assert stack.stop() == 0
        assert stack.processes() == []


def test_any_sequence_of_calls_and_kills_leaves_what_it_should(modelled: Stack) -> None:
    print(f"DRILL_SEED={SEED}")
    machine = type("Machine", (Machine,), {"stack": modelled})
    drill = settings(
        max_examples=EXAMPLES,
        stateful_step_count=12 if IS_SHORT else 30,
        deadline=None,
        derandomize=IS_SHORT,
        database=None,
        phases=[Phase.generate],  # no shrinking, which is slow
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.debug,  # print each step at once: Hypothesis may report the failure as flaky
    )
    run = machine if IS_SHORT else seed(SEED)(machine)
    with explained(modelled):
        run_state_machine_as_test(run, settings=drill)
