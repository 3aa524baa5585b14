"""The API does what its OpenAPI document says, and nothing else: schemathesis against a real stack.

The document is the one that stacks serve (``test_openapi`` compares them), with one thing sharpened:
answers must not have properties that it doesn't name. Requests that fit it and requests that don't are
generated for every operation, and all checks are made of every answer, but for ``ignored_auth``, which is
made of each operation's first success, and ``positive_data_acceptance``, which has a substitute below.
No operation is left out. What is exchanged before sending, and why:

- what would be run, and where it would write: see ``safe_values``
- names, ports and terminals become free ones, and what excludes each other does not come together, since
  no schema can say it
- ``boot`` becomes false, port ranges become short, and delays none: the machine shall stay quiet
- ``timeout`` becomes long enough, since running out of it is a 504, and with ``wait`` for its end a
  command is one that ends
- hosts are the stack itself, under names that are free, and codes of invitations are valid
- ids become those of programs that exist, and ports theirs, most of the time
- of a stream, which has no end, the beginning is looked at
- hosts that a request may choose are all hosts: the stack itself
- what is passed on to a host goes to the same stack: its programs are read, and a batch is rehearsed

Where a constraint is broken, or kept, in several ways, `make test` sends the first of them and some of the
others, so that fields of one kind share them; `make drills` sends all.
"""

import itertools
import re
import shlex
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from django.core.exceptions import ValidationError
from hypothesis import HealthCheck, settings
from schemathesis.checks import CheckContext
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.meta import TestPhase
from schemathesis.specs.openapi.checks import (
    ignored_auth,
    negative_data_rejection,
    positive_data_acceptance,
)

from daemon_programs.serializers.batch import OPTIONS, BatchSerializer
from fleet.validators import check_url
from tests import safe_values, webhook_programs
from tests.drills import ROUNDS
from tests.drills.clients import strict_document
from tests.fleet import hubs
from tests.fleet.held_links import add_held_hosts
from tests.stack import OWN_USER, Stack, temporary_stack

# The operations of the register of hosts, whose fields are not those of programs.
REGISTER = {"getHost", "checkHost", "addHost", "editHost", "inviteHost", "joinHub", "removeHost"}
# What a well-formed request may be refused for, beside verbs that don't fit (code "refused").
BEYOND_THE_SCHEMA = re.compile(
    r"requires (port_range|terminal_id) to be set|can't be combined with|is not installed"
    r"|must be given together|must not be greater than|is required, unless|at most 64 KiB"
    r"|needs all: true and wait: true|must be the 'next' of"
    r"|needs set: only its programs go|needs wait: true|is required and must be a non-empty string"
)


# The programs that requests are about. Those that are only read keep running unchanged.
HOOKED = {"webhooks": {"urls": ["https://hook.daemon.example/"], "retry": 0, "timeout": 1}}
LOOKED_AT: dict[str, dict[str, Any]] = {
    "alive": {"boot": True, **HOOKED},
    "alive ports": {"boot": True, "ports": True},
}
CHANGED: dict[str, dict[str, Any]] = {
    "running": {"boot": True, "start_seconds": 0, "stdin": "pipe", "reload": {"command": "true"}, **HOOKED},
    "off": {"enabled": False},
    "ports": {"ports": True},
    "several": {"numprocs": 3},
}
# One of so many cases that say the same of a field as an earlier one, as "Incorrect type", is sent.
REPEATED = 1 if ROUNDS > 1 else 4
LAUNCHED: dict[str, dict[str, Any]] = {
    "alive": {"command": safe_values.command("x"), "stdin": "pipe"},
    "ended": {"command": "true", "wait": "exit"},
}


class Session(requests.Session):
    """Streams have no end: of their answers the beginning is taken."""

    def request(self, *args: Any, **options: Any) -> requests.Response:
        response = super().request(*args, **{**options, "stream": True})
        if response.headers.get("Content-Type") == "text/event-stream":
            response._content = response.raw.read1()
            response.close()
        assert response.content
        return response


class World:
    """A stack with one program of each kind, made again when a request has removed them."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack, self.folder = stack, folder
        self.session = Session()
        self.answered: dict[str, set[int]] = defaultdict(set)
        self.examples: set[str] = set()
        self._said: set[tuple[str, ...]] = set()
        self._repetitions = itertools.count(1)
        self._numbers = itertools.count(1)
        self._kinds = {
            "GET": itertools.cycle((*LOOKED_AT, None)),
            "POST": itertools.cycle((*CHANGED, None)),
        }
        self._launch_kinds = itertools.cycle(LAUNCHED)
        self._programs: dict[str, int] = {}
        self._launches: dict[str, str] = {}
        self._host: str | None = None

    def number(self) -> int:
        return next(self._numbers)

    def is_enough(self, operation: str, case: schemathesis.Case) -> bool:
        """Return whether a case needs not be sent, since one that says the same of the same field was."""
        if case.meta.phase.name != TestPhase.COVERAGE:
            return False
        data = case.meta.phase.data
        said = (operation, data.description, str(data.location), str(data.parameter))
        if said not in self._said:
            self._said.add(said)
            return False
        return next(self._repetitions) % REPEATED > 0

    def next_kind(self, method: str) -> str | None:
        """The kinds in turn, and then none: an id that is probably unknown."""
        return next(self._kinds[method])

    def ports(self) -> dict[str, int]:
        first = 20000 + 3 * (self.number() % 10000)
        return {"start": first, "end": first + 2}

    def program(self, kind: str) -> int:
        if kind not in self._programs:
            self._programs[kind] = self._add(kind)
        return self._programs[kind]

    def next_launch(self) -> str:
        """A temporary program: one that runs and one that has ended in turn."""
        return self.launch(next(self._launch_kinds))

    def launch_again(self, kind: str) -> str:
        self._launches.pop(kind, None)
        return self.launch(kind)

    def launch(self, kind: str) -> str:
        if kind not in self._launches:
            body = {"user": OWN_USER, "ttl": 600, **LAUNCHED[kind]}
            self._launches[kind] = self.stack.api.ok("quick-start", body)["temporary_id"]
        return self._launches[kind]

    def host(self, kind: str | None) -> str:
        """The name of a host, which is the stack itself; without a kind one that is unknown."""
        if kind is None:
            return f"unknown-{self.number()}"
        if self._host is None:
            self._host = self.free_host()["name"]
            self.stack.api.ok("hosts/add", {"name": self._host, **self.as_host()})
        return self._host

    def forget_host(self, name: str) -> None:
        if name == self._host:
            self._host = None

    def as_host(self) -> dict[str, Any]:
        """What it takes to use the stack as a host."""
        return {"url": self.stack.url, "token": self.stack.token}

    def free_host(self) -> dict[str, str]:
        return {"name": f"host-{self.number()}"}

    def code(self) -> str:
        return self.stack.api.ok("hosts/invite")["code"]  # type: ignore[no-any-return]

    def rollout(self) -> int:
        """A roll-out that can still be steered. The stack has no hosts."""
        body = {"hosts": {"all": True}, "programs": [], "paused": True}
        id: int = self.stack.api.ok("fleet/apply", body)["rollout"]["id"]
        return id

    def delivery(self) -> dict[str, int]:
        """One that is over: the program whose it is, and its own id."""
        id = self.program("alive")
        return {"id": id, "delivery_id": webhook_programs.settled(self.stack.api, id)[0]["id"]}

    def come_alive(self) -> None:
        """Make sure that lists and statuses are not empty."""
        for kind in LOOKED_AT:
            self.program(kind)
        for kind in LAUNCHED:
            self.launch(kind)

    def forget(self, id: Any = None) -> None:
        """A program that is gone; without an id all of them."""
        for known in (self._programs, self._launches):
            for kind in [kind for kind, its in known.items() if id in (None, its)]:
                del known[kind]

    def _add(self, kind: str) -> int:
        fields = dict((LOOKED_AT | CHANGED)[kind])
        if fields.pop("ports", None):
            fields["port_range"] = self.ports()
        return self.stack.api.add(safe_values.command("x"), name=f"{kind} {self.number()}", **fields)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("logs")
    with temporary_stack(DAEMON_LOG_ROOTS=str(folder)) as stack:
        stack.start()
        hubs.add_host(stack, stack, "itself")
        add_held_hosts(stack, {"web-1": {}})
        world = World(stack, folder)
        yield world
        assert stack.stop() == 0, stack.output.read_text()[-2000:]
        never = [operation for operation, codes in world.answered.items() if 200 not in codes]
        assert not never, f"nothing but errors was answered by {never}"
        missing = with_examples(strict_document()) & set(world.answered) - world.examples
        assert not missing, f"the document's examples of {missing} were not sent"


def with_examples(document: dict[str, Any]) -> set[str]:
    """The operations of which the document says by example what to send."""
    return {
        operation["operationId"]
        for methods in document["paths"].values()
        for operation in methods.values()
        if "examples" in operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    }


# schemathesis asks for a test's fixtures when it is run; that it needs a stack must be known before.
pytestmark = pytest.mark.usefixtures("world")


@pytest.fixture(autouse=True)
def node_id(request: pytest.FixtureRequest) -> None:
    """Where schemathesis looks for it; this pytest keeps it elsewhere."""
    request.node._nodeid = request.node.nodeid


@pytest.fixture(scope="module")
def schema() -> Any:
    return schemathesis.openapi.from_dict(lightened(strict_document()))


def lightened(document: dict[str, Any]) -> dict[str, Any]:
    """The document without what takes long to generate, and which other tests send."""
    schemas = document["components"]["schemas"]
    few = ("name", "command", "user", "enabled", "labels", "set")
    for name, schema in (
        ("programs", "AppliedProgramRequest"),
        ("defaults", "PatchedProgramDefaultsRequest"),
    ):
        fields = schemas[schema]["properties"]
        light = {**schemas[schema], "properties": {each: fields[each] for each in few if each in fields}}
        for body in ("ApplyRequest", "FleetApplyRequest"):
            lists = schemas[body]["properties"]
            lists[name] = {"type": "array", "maxItems": 3, "items": light} if name == "programs" else light
    # The others are those of `quickStart`.
    placed = schemas["PlacedLaunchRequest"]["properties"]
    shown = ("command", "user", "name", "autorestart", "hosts", "wait", "timeout")
    schemas["PlacedLaunchRequest"]["properties"] = {each: placed[each] for each in shown}
    # To compile a pattern for so long a text takes a second, and certificates are exchanged before sending.
    for body in ("HostAddRequest", "HostEditRequest", "JoinRequest"):
        del schemas[body]["properties"]["ca"]["pattern"]
    return document


def fuzz(operation: str) -> Any:
    """The test of one operation. What it sends is made up when it is run: that takes longer than sending."""

    @schemathesis.pytest.from_fixture("schema").include(operation_id=operation).parametrize()
    @settings(
        max_examples=10 if ROUNDS > 1 else 6,
        deadline=None,
        derandomize=True,  # the same requests in every run: what fails is what was changed
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def test(case: schemathesis.Case, world: World) -> None:
        if world.is_enough(operation, case):
            return
        prepare(case, operation, world)
        # One proof for each operation is enough: it takes three more requests.
        known = [ignored_auth] if 200 in world.answered[operation] else []
        # The values of programs are checked by the hosts, of which none is begun with.
        beyond = [negative_data_rejection] if operation == "applyToHosts" else []
        way: dict[str, Any] = {"base_url": world.stack.url, "session": world.session}
        headers = {"Authorization": f"Bearer {world.stack.token}"}
        response = case.call(headers=headers, **way)
        follow_up(operation, response, world)
        case.validate_response(
            response,
            headers=headers,
            transport_kwargs={**way, "headers": headers},
            excluded_checks=[positive_data_acceptance, *known, *beyond],
            additional_checks=[well_formed_is_accepted, errors_have_their_shape],
        )

    return test


def all_operations() -> dict[str, Any]:
    paths = strict_document()["paths"].values()
    names = [each["operationId"] for methods in paths for each in methods.values()]
    return {f"test_{name}_does_what_the_document_says": fuzz(name) for name in names}


globals().update(all_operations())


def prepare(case: schemathesis.Case, operation: str, world: World) -> None:
    """Exchange what must not, or need not, be sent as it was generated."""
    well_formed = case.meta.generation.mode.is_positive
    if case.meta.phase.name == TestPhase.EXAMPLES:
        world.examples.add(operation)
    if operation in REGISTER:
        prepare_host(case, operation, world, well_formed=well_formed)
        return
    if isinstance(case.body, dict):
        body = consistent(case.body, world) if well_formed else case.body
        if operation == "batchPrograms" and BatchSerializer(data=body).is_valid():
            body = of_one_program(body, world)
        case.body = safe_values.body(body, world.folder)
        # A request that is wrong in something else than its body may be accepted all the same.
        if case.body.get("wait") == "exit" and "exec sleep" in str(case.body.get("command")):
            case.body["command"] = "true"
    if well_formed and case.headers.get("Last-Event-ID") == "0" and "Log" in operation:
        # Of headers the shortest value is tried, pattern or not.
        case.headers["Last-Event-ID"] = "-" if operation == "streamLogs" else "0-0-0-0"
    if well_formed and "Idempotency-Key" in case.headers:
        # The answer to an earlier request would be about programs that are gone.
        case.headers["Idempotency-Key"] = f"key-{world.number()}"
    if well_formed and "select" in (case.query or {}) and world.number() % 2:
        case.query["select"] = ["*"]  # a word that is made up names no program
    if well_formed and "host" in (case.query or {}):
        case.query["host"] = ["*"]  # nor a host
    world.come_alive()
    method = case.operation.method.upper()
    path = case.meta.components.get(ParameterLocation.PATH)
    if path is None or path.mode.is_negative or not (kind := world.next_kind(method)):
        return
    if operation in ("readOfHost", "changeOnHost"):
        pass_on_to_itself(case, operation, world)
        return
    if operation == "getRequest":
        return
    if "Rollout" in operation:
        case.path_parameters["id"] = world.rollout()
        return
    if "Ephemeral" in operation:
        # One whose input was closed by an earlier request refuses all others.
        takes_input = operation == "writeEphemeralInput" and well_formed
        case.path_parameters["id"] = world.launch_again("alive") if takes_input else world.next_launch()
        return
    if "delivery_id" in case.path_parameters and kind in CHANGED:
        case.path_parameters.update(world.delivery())
        return
    id = case.path_parameters["id"] = world.program(kind)
    if well_formed:
        choose_instance(case, id, world)
    if operation == "writeProgramInput" and kind == "running":
        world.stack.api.ok(f"programs/{id}/restart", {"wait": True})
    if operation == "startProgram" and world.number() % 2:
        world.stack.api.ok(f"programs/{id}/stop", {"all": True})


def prepare_host(case: schemathesis.Case, operation: str, world: World, *, well_formed: bool) -> None:
    """Send only what has to do with this stack, which is a host of its own, and in codes what is valid."""
    if isinstance(case.body, dict):
        possible: dict[str, Any] = {**world.as_host(), **world.free_host(), "ca": "", "check": False}
        if operation == "joinHub":
            possible["code"] = world.code()
        if case.body.get("labels") and well_formed:
            possible["labels"] = {f"key{n}": "x" for n in range(len(case.body["labels"]))}
        if well_formed and operation == "editHost" and "url" in case.body:
            case.body["token"] = world.stack.token
        if well_formed and operation == "joinHub":
            case.body["name"] = possible["name"]  # the code is for any host
        if well_formed:
            case.body = {name: possible.get(name, value) for name, value in case.body.items()}
        elif is_address(case.body.get("url")):
            case.body = {**case.body, "url": possible["url"]}  # what is wrong is something else
    path = case.meta.components.get(ParameterLocation.PATH)
    if path is not None and not path.mode.is_negative:
        case.path_parameters["name"] = world.host(world.next_kind(case.operation.method.upper()))


def is_address(url: Any) -> bool:
    """Whether a host could be asked at a URL."""
    with suppress(ValidationError, TypeError, AttributeError):
        check_url(url)
        return len(url) <= 500
    return False


def pass_on_to_itself(case: schemathesis.Case, operation: str, world: World) -> None:
    """A request that the host can answer; what it answers to others is tested with its own routes."""
    case.path_parameters.update(name="itself", route="programs")
    if operation == "changeOnHost" and isinstance(case.body, dict):
        case.path_parameters["route"] = "programs/batch"
        select = {"ids": [world.program("running")]}
        case.body = {"action": "stop", "select": select, "dry_run": True}


def choose_instance(case: schemathesis.Case, id: int, world: World) -> None:
    """One that the program has; none if it has none."""
    program = world.stack.api.get(f"programs/{id}").json()["program"]
    ports, numprocs = program.get("port_range"), program.get("numprocs", 1)
    first, count = (ports["start"], ports["end"] - ports["start"] + 1) if ports else (0, numprocs)
    kept = "port" if ports else "instance" if numprocs > 1 else None
    for holder in (case.body, case.query):
        for name in ("port", "instance"):
            if not isinstance(holder, dict) or name not in holder:
                continue
            if name == kept:
                holder[name] = first + int(holder[name]) % count
            else:
                del holder[name]


def consistent(body: dict[str, Any], world: World) -> dict[str, Any]:
    """The same with what no schema can say: names that are free, fields that go together."""
    body = dict(body)
    if "at_once" in body:
        body |= {"hosts": {"all": True}, "paused": True, "dry_run": False}  # no host is begun with
    elif "hosts" in body:
        body["hosts"] = {"names": ["*"]}
    if isinstance(body.get("programs"), list):
        return consistent_list(body, world)
    if "id" in body:
        body["id"] = 2**50 - world.number()  # downwards: ids that are made count up from the highest
    if "name" in body:
        body["name"] = f"{body['name'][:100]} {world.number()}"
    if "environment" in body:
        body["environment"] = {
            "V_" + re.sub(r"\W", "_", name, flags=re.ASCII)[:100]: value
            for name, value in body["environment"].items()
        }
    if body.get("labels"):
        body["labels"] = {f"key{n}": value for n, value in enumerate(body["labels"].values())}
    if isinstance(body.get("select"), dict):
        body = consistent_batch(body)
    if body.get("webhooks") and "headers" in body["webhooks"]:
        headers = body["webhooks"]["headers"].values()
        body["webhooks"]["headers"] = {f"X-{n}": value for n, value in enumerate(headers)}
    if body.get("port_range"):
        body["port_range"] = world.ports()
        for name in ("terminal_id", "ready_port", "numprocs"):
            body.pop(name, None)
    else:
        body.pop("port_param", None)
    if body.get("numprocs", 1) > 1:
        for name in ("terminal_id", "ready_port"):
            body.pop(name, None)
    if body.get("port_param"):
        body["port_param"] = shlex.quote(body["port_param"][:100])
    if body.get("terminal_id"):
        body["terminal_id"] = world.number()
    else:
        body.pop("terminal_shell", None)
        body.pop("terminal_interactive", None)
    for name in ("ready", "health"):
        if body.get(name):
            body[name] = consistent_probe(body[name], world)
    if body.get("ready_port"):
        body["ready_port"] = world.stack.port
        body.pop("ready", None)
    body.pop("depends_on", None)  # which names programs
    quiet = {"boot": False, "delay_seconds": 0, "timeout": 20}
    body |= {name: value for name, value in quiet.items() if name in body}
    if body.get("wait") == "exit":
        body["command"] = "true"
        body.pop("terminal_interactive", None)  # the shell would stay
        body.pop("autorestart", None)  # it would be run again and again
    return body


def consistent_list(body: dict[str, Any], world: World) -> dict[str, Any]:
    """The same with programs that get along with each other, with the defaults and in one set."""
    shared = ("description", "priority", "autorestart", "nice", "umask")
    given = [each for each in body["programs"] if isinstance(each, dict)]
    programs = [{**consistent(each, world), "set": body.get("set")} for each in given]
    defaults = {name: value for name, value in (body.get("defaults") or {}).items() if name in shared}
    return {**body, "programs": programs, **({"defaults": defaults} if "defaults" in body else {})}


def consistent_batch(body: dict[str, Any]) -> dict[str, Any]:
    """The same with the options of its action, and with all programs alone."""
    foreign = [name for name, actions in OPTIONS.items() if body["action"] not in actions]
    body = {name: value for name, value in body.items() if name not in foreign}
    if body["action"] == "signal":
        body.setdefault("signal", "CONT")
    takes_all = body["select"].get("all") or not body["select"].keys() - {"all"}
    return {**body, "select": {"all": True}} if takes_all else body


def of_one_program(body: dict[str, Any], world: World) -> dict[str, Any]:
    """The same batch of a program of its own, unless it is only rehearsed."""
    if body.get("dry_run"):
        return body
    select = {name: value for name, value in body["select"].items() if name != "all"}
    id = world.stack.api.add(safe_values.command("x"), name=f"batch {world.number()}")
    return {**body, "select": {**select, "ids": [id]}}


def consistent_probe(probe: dict[str, Any], world: World) -> dict[str, Any]:
    """The same with a port, a URL and a pattern that can be had; the command is exchanged anyway."""
    possible = {"port": world.stack.port, "http": world.stack.url, "command": "true"}
    probe = {name: possible.get(name, value) for name, value in probe.items()}
    return {**probe, "log": re.escape(probe["log"][:400].replace("\0", "x"))} if "log" in probe else probe


def well_formed_is_accepted(
    ctx: CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> None:
    """In place of schemathesis' own check, which knows no requests that are refused for what there is."""
    if not case.meta.generation.mode.is_positive or response.status_code != 400:
        return
    answer = response.json()
    if answer.get("code") != "refused":
        assert BEYOND_THE_SCHEMA.search(answer["error"]), answer


def errors_have_their_shape(
    ctx: CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> None:
    """Also of what the document doesn't list: other methods, other content types."""
    if response.status_code >= 400:
        answer = response.json()
        assert answer["success"] is False
        assert answer["error"]


def follow_up(operation: str, response: schemathesis.Response, world: World) -> None:
    """Remember what was answered, and clear away what was added."""
    world.answered[operation].add(response.status_code)
    if response.status_code != 200:
        return
    if operation in ("addHost", "joinHub"):
        world.stack.api.ok(f"hosts/remove/{response.json().get('name') or response.json()['host']['name']}")
    if operation == "removeHost":
        world.forget_host(response.json()["name"])
    if operation == "addProgram":
        world.stack.api.ok(f"programs/remove/{response.json()['id']}")
    if operation == "applyPrograms" and not response.json()["dry_run"]:
        for step in response.json()["plan"]:
            if step["action"] == "create":
                world.stack.api.ok(f"programs/remove/{step['id']}")
    if operation in ("quickStart", "quickStartOnHost"):
        world.stack.api.ok(f"quick-start/{response.json()['temporary_id']}/stop")
    if operation in ("removeProgram", "stopEphemeralProgram"):
        world.forget(response.json().get("id") or response.json().get("temporary_id"))
    if operation == "resetPrograms":
        world.forget()
