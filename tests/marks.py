"""The marker ``stack``, given to each test that needs a running stack, so that nobody has to remember it.

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

_MAKERS = (stack.Stack, stack.temporary_stack)


def mark(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and any(map(_makes_a_stack, _functions_of(item))):
            item.add_marker("stack")


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
