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
    "test_faults",
    "test_login_limits",
    "test_terminal_hangup",
    "test_commands",
    "test_backup",
    "test_adoption",
    "bench.test_bench",
    "test_request_bodies",
    "test_quick_start_faults",
    "test_delivery_queue",
    "drills.test_escape",
    "test_reconcile",
    "test_admin_form",
    "test_quick_start_ends",
    "test_events",
    "test_settings",
    "test_reaper",
    "test_database",
    "console.test_accessibility",
    "console.test_pages",
    "drills.test_kills",
    "test_streams",
    "test_log_follower",
    "test_makefile",
    "test_webhook_rebinding",
    "test_stop_order",
    "drills.test_storm",
    "test_event_streams",
    "test_log_streams",
    "test_webhook_request",
    "test_admin",
    "drills.test_quick_start_drills",
    "test_own_processes",
    "test_tokens",
    "drills.test_survivors",
    "test_allow_lists",
    "test_deliveries",
    "test_terminals",
    "test_list_and_filters",
    "test_fuzz_inputs",
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
