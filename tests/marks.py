"""The marker ``stack``, which is added to each test that needs a running stack.

A test needs one if it, a fixture that it uses, or a function of the tests that one of them calls makes a
`Stack`. What this doesn't see is refused when it starts one.
"""

import contextlib
import types
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest

from tests import stack

# The slowest files, slowest first, so that none of them is started last. Files that are not listed follow,
# and those that need no stack come last: `make unit` distributes files in this order.
LONGEST = (
    "test_fuzz",
    "console.test_accessibility",
    "test_stop_order",
    "drills.test_clocks",
    "bench.test_bench",
    "test_crash_loops",
    "test_streams",
    "drills.test_quick_start_drills",
    "test_deliveries",
    "test_delivery_queue",
    "drills.test_escape",
    "test_depends_on",
    "test_reaper",
    "test_stop_grace",
    "test_engines",
    "test_terminal_hangup",
    "test_makefile",
    "test_rolling",
    "test_reload",
    "drills.test_survivors",
    "test_faults",
    "test_admin_form",
    "test_reconcile",
    "console.test_logs",
    "test_events",
    "test_metrics_faults",
    "test_probes",
    "console.test_pages",
    "test_restart_fields",
    "test_quick_start_faults",
    "test_quick_start_ttl",
    "console.test_run",
    "test_memory_limit",
    "test_adoption",
    "test_before_start",
    "test_samples_stack",
    "test_security_secrets",
    "test_connections",
    "test_request_bodies",
    "test_ready",
    "console.test_program_page",
    "drills.test_endless_loops",
    "drills.test_boot_order",
    "test_unhealthy",
    "test_quick_start_ends",
    "test_admin",
    "test_backup",
)

_MAKERS = (stack.Stack, stack.temporary_stack)


def mark(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and any(map(_makes_a_stack, _functions_of(item))):
            item.add_marker("stack")


def sort(items: list[pytest.Item]) -> None:
    """Put files in the order of `LONGEST`; within a file nothing changes."""
    with_stack = {item.path for item in items if item.get_closest_marker("stack")}

    def rank(item: pytest.Item) -> tuple[int, bool]:
        module = getattr(item, "module", None)
        name = module.__name__.removeprefix("tests.") if module else ""
        return (LONGEST.index(name) if name in LONGEST else len(LONGEST), item.path not in with_stack)

    items.sort(key=rank)


@contextlib.contextmanager
def only_as_marked(item: pytest.Item) -> Iterator[None]:
    """No stack is started for a test that isn't marked."""
    stack.Stack.refuses = None if item.get_closest_marker("stack") else item.nodeid
    try:
        yield
    finally:
        stack.Stack.refuses = None


def _functions_of(item: pytest.Function) -> Iterator[Callable[..., Any]]:
    yield item.function
    for definitions in item._fixtureinfo.name2fixturedefs.values():
        yield definitions[-1].func


@cache
def _makes_a_stack(function: Callable[..., Any]) -> bool:
    seen: set[Callable[..., Any]] = set()
    waiting: list[Any] = [function]
    while waiting:
        function = waiting.pop()
        if function in seen:
            continue
        seen.add(function)
        for used in _used_by(function):
            if used in _MAKERS:
                return True
            if isinstance(used, types.FunctionType) and used.__module__.startswith("tests."):
                waiting.append(used)
    return False


def _used_by(function: Callable[..., Any]) -> Iterator[Any]:
    """The functions and classes of its module that a function names."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    variables = getattr(function, "__globals__", {})
    for name in _names(getattr(function, "__code__", None)):
        used = variables.get(name)
        if isinstance(used, (types.FunctionType, type)):
            yield used


def _names(code: types.CodeType | None) -> Iterator[str]:
    if code is not None:
        yield from code.co_names
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                yield from _names(constant)
