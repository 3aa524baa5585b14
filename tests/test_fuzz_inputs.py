"""Whatever stands in one field of an otherwise valid program: taken, or refused in one sentence.

Never an internal error, and what is refused changes nothing. What is sent is made harmless first.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests import safe_values
from tests.stack import OWN_USER, Api, temporary_stack

Document = dict[str, Any]

# Of every field, what an edit brings it back to.
BASE: Document = {
    "name": "base",
    "command": safe_values.command("base"),
    "user": OWN_USER,
    "description": "",
    "enabled": True,
    "boot": False,
    "delay_seconds": 0,
    "stop_grace_seconds": 10,
    "stop_signal": "TERM",
    "stop_scope": "main",
    "reload": None,
    "autorestart": "unexpected",
    "directory": None,
    "environment": {},
    "priority": 999,
    "stdout_logfile": "",
    "stderr_logfile": "",
    "logs_enabled": True,
    "log_max_bytes": 5242880,
    "log_backups": 2,
    "port_range": None,
    "port_param": None,
    "numprocs": 1,
    "lazy_load": False,
    "display": None,
    "terminal_id": None,
    "terminal_shell": None,
    "terminal_interactive": None,
    "ready_port": None,
    "stdin": "null",
    "before_start": [],
    "memory_limit_bytes": None,
    "ready": None,
    "health": None,
    "depends_on": None,
    "webhooks": None,
}
LAUNCH: Document = {
    name: value
    for name, value in BASE.items()
    if name
    not in {
        "description",
        "reload",
        "enabled",
        "boot",
        "port_range",
        "port_param",
        "numprocs",
        "lazy_load",
        "ready_port",
        "ready",
        "health",
        "depends_on",
        "webhooks",
    }
} | {"ttl": 60, "wait": False, "timeout": 20}

# Text with halves of surrogate pairs, NUL and whatever else JSON can carry.
texts = st.text(st.characters(), max_size=30) | st.sampled_from(
    ["", " ", "\0", "\ud800", "/", "/tmp/x", "x" * 200_000, "true", "'", "{port}", "%(ENV_HOME)s", "a\nb"]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([-1, 0, 1, 65535, 65536, 2**53, 2**63, 2**64, 10**400])
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
keys = texts | st.sampled_from(
    ["start", "end", "enabled", "urls", "events", "headers", "timeout", "retry", "PATH"]
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=8,
)
port_ranges = st.fixed_dictionaries({"start": st.integers(0, 65536), "end": st.integers(0, 65536)})
unknown_fields = texts.filter(lambda text: text not in BASE | LAUNCH)

fuzzed = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)


class Bench:
    """A stack with one program, which edits are tried on."""

    def __init__(self, api: Api, folder: Path) -> None:
        self.api, self.folder = api, folder
        self.id = api.ok("programs/add", BASE)["id"]

    def with_field(self, base: Document, field: str, value: Any) -> Document:
        document: Document = safe_values.body({**base, field: value}, self.folder)
        return document

    def programs(self) -> list[Document]:
        programs: list[Document] = self.api.get("programs").json()["programs"]
        return programs


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("logs")
    with temporary_stack(DAEMON_LOG_ROOTS=str(folder)) as stack:
        stack.start()
        yield Bench(stack.api, folder)


def refused(response: requests.Response) -> bool:
    """Whether it was; anything but a success or a proper refusal is a failure."""
    if response.status_code == 200:
        assert response.json()["success"] is True
        return False
    assert 400 <= response.status_code < 500, response.text[:2000]
    answer = response.json()
    assert answer["success"] is False
    assert isinstance(answer["error"], str)
    assert answer["error"]
    return True


@fuzzed
@given(st.sampled_from(sorted(BASE)), values | port_ranges)
@example("environment", {"\ud800": "x"})
@example("environment", {"A": 5, "\udfff": 6})
@example("webhooks", {"headers": {"\ud800": "x"}, "urls": ["https://a.daemon.example"]})
@example("webhooks", {"events": ["\ud800"]})
@example("webhooks", {"\ud800": 1})
@example("log_max_bytes", 2**53)
@example("port_range", {"start": 1, "end": 1000})
def test_add_takes_or_refuses_any_value_of_a_field(bench: Bench, field: str, value: Any) -> None:
    before = bench.programs()
    response = bench.api.post("programs/add", bench.with_field({**BASE, "name": "new"}, field, value))
    if not refused(response):
        bench.api.ok(f"programs/remove/{response.json()['id']}")
    assert bench.programs() == before


@fuzzed
@given(st.sampled_from(sorted(BASE)), values | port_ranges)
def test_edit_takes_or_refuses_any_value_of_a_field(bench: Bench, field: str, value: Any) -> None:
    before = bench.api.get(f"programs/{bench.id}").json()
    response = bench.api.post(f"programs/edit/{bench.id}", bench.with_field(BASE, field, value))
    if not refused(response):
        assert response.json() == bench.api.get(f"programs/{bench.id}").json()
        bench.api.ok(f"programs/edit/{bench.id}", BASE)
    assert bench.api.get(f"programs/{bench.id}").json() == before


@fuzzed
@given(st.sampled_from(sorted(LAUNCH)), values)
def test_quick_start_takes_or_refuses_any_value_of_a_field(bench: Bench, field: str, value: Any) -> None:
    response = bench.api.post("quick-start", bench.with_field({**LAUNCH, "name": "new"}, field, value))
    if not refused(response):
        bench.api.ok(f"quick-start/{response.json()['temporary_id']}/stop")
    assert bench.api.get("quick-start").json()["ephemeral_programs"] == []


@fuzzed
@given(st.sampled_from(["programs/add", "programs/edit/{}", "quick-start"]), unknown_fields, values)
def test_no_route_takes_a_field_that_it_does_not_know(
    bench: Bench, route: str, field: str, value: Any
) -> None:
    before = bench.programs()
    base = LAUNCH if route == "quick-start" else {**BASE, "name": "new"}
    assert refused(bench.api.post(route.format(bench.id), bench.with_field(base, field, value)))
    assert bench.programs() == before


@fuzzed
@given(st.sampled_from(["programs/add", "programs/edit/{}", "quick-start"]), st.binary(min_size=1))
def test_bytes_that_are_no_json_object_are_refused(bench: Bench, route: str, body: bytes) -> None:
    before = bench.programs()
    response = bench.api.post(route.format(bench.id), data=body, headers={"Content-Type": "application/json"})
    assert refused(response) or not body.strip()
    assert bench.programs() == before
