"""``write_transaction``: what it did elsewhere is undone with it."""

import contextlib
from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import Group

from daemon_programs import transactions
from daemon_programs.transactions import on_failure, write_transaction

pytestmark = pytest.mark.django_db


class Failure(Exception):
    pass


@contextlib.contextmanager
def failing_change() -> Iterator[None]:
    """Run a transaction that fails at its end with an error."""
    try:
        with write_transaction():
            yield
            raise Failure  # noqa: TRY301 (here or nowhere)
    except Failure:
        return
    pytest.fail("the failure was not told")


@pytest.fixture
def undone() -> list[str]:
    return []


@pytest.fixture
def step(undone: list[str]) -> Callable[[str], None]:
    """Register a step whose undoing is noted."""
    return lambda name: on_failure(lambda: undone.append(name))


def test_what_was_done_last_is_undone_first(undone: list[str], step: Callable[[str], None]) -> None:
    with failing_change():
        Group.objects.create(name="not kept")
        for name in ("file", "configuration", "process"):
            step(name)
    assert undone == ["process", "configuration", "file"]
    assert not Group.objects.filter(name="not kept").exists()


def test_what_fails_to_be_undone_keeps_nothing_else_from_it(
    undone: list[str], step: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise OSError("the disk is full")

    with failing_change():
        step("first")
        on_failure(fail)
        step("last")
    assert undone == ["last", "first"]
    assert [record.message for record in caplog.records] == ["A change could not be undone"]


def test_outer_transaction_undoes_what_those_within_it_did(
    undone: list[str], step: Callable[[str], None]
) -> None:
    with failing_change():
        step("outer")
        for name in ("one", "other"):
            with write_transaction():
                step(name)
        assert undone == []
    assert undone == ["other", "one", "outer"]


def test_nothing_is_undone_of_what_is_done(undone: list[str], step: Callable[[str], None]) -> None:
    with write_transaction():
        step("kept")
    with failing_change():
        pass  # what went well before is forgotten
    assert undone == []
    assert transactions._lock.acquire(timeout=0)
    transactions._lock.release()
