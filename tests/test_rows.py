"""Programs that are read again and again are made once for each version of their row."""

import threading
from collections.abc import ValuesView
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from daemon_programs.models import Program
from daemon_programs.models.rows import Rows
from daemon_programs.serializers.representation import listed_document, program_document
from tests.database import on_embedded

pytestmark = pytest.mark.django_db


def make(*names: str) -> list[Program]:
    return Program.objects.bulk_create(Program(name=name, command="true", user="root") for name in names)


def test_only_what_has_changed_is_made_again() -> None:
    first, second = make("a", "b")
    rows = Rows()
    before = rows.all()
    Program.objects.filter(pk=second.pk).update(description="another")
    after = rows.all()
    assert [program.pk for program in after] == [first.pk, second.pk]
    assert after[0] is before[0]
    assert after[1] is not before[1]
    assert after[1].description == "another"
    assert rows.one(first.pk) is before[0]


def test_any_writer_is_seen() -> None:
    (program,) = make("a")
    rows = Rows()
    assert rows.one(program.pk).labels == {}
    with connection.cursor() as cursor:
        cursor.execute("UPDATE daemon_programs_program SET labels = %s", ['{"a": "b"}'])
    assert rows.one(program.pk).labels == rows.all()[0].labels == {"a": "b"}
    Program.objects.all()._raw_delete("default")  # supervisord has none of them
    assert rows.one(program.pk) is None
    assert rows.all() == []


def test_what_is_rolled_back_was_never_there() -> None:
    (program,) = make("a")
    rows = Rows()
    with transaction.atomic():
        Program.objects.update(name="b")
        assert rows.all()[0].name == "b"
        transaction.set_rollback(True)
    assert rows.one(program.pk).name == rows.all()[0].name == "a"


def test_programs_are_those_of_a_plain_query() -> None:
    make("a", "b")
    Program.objects.filter(name="b").update(
        port_start=1000, port_end=1009, webhooks={"url": "https://example.com"}, environment={"A": "ü"}
    )
    for ours, plain in zip(Rows().all(), Program.objects.order_by("id"), strict=True):
        fields = [field.attname for field in Program._meta.concrete_fields]
        assert [getattr(ours, name) for name in fields] == [getattr(plain, name) for name in fields]
        for _ in range(2):
            assert list(listed_document(ours).items()) == list(program_document(plain).items())


def test_each_read_is_one_query() -> None:
    (program,) = make("a")
    rows = Rows()
    for read in (rows.all, lambda: rows.one(program.pk)):
        with CaptureQueriesContext(connection) as queries:
            read()
        assert len(queries) == 1


def test_removed_programs_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon_programs.models.rows._MOST_KEPT", 3)
    rows = Rows()
    for name in "abcdefgh":
        (program,) = make(name)
        assert rows.one(program.pk).name == name
        Program.objects.all()._raw_delete("default")
        assert len(rows._made) <= 4


def test_list_is_what_was_read_whatever_other_threads_read_meanwhile() -> None:
    (first,) = make("a")
    rows = Rows()
    made = rows._of

    class Interrupted(dict[int, Any]):
        def values(self) -> ValuesView[Any]:
            (second,) = make("b")
            rows._of = made  # type: ignore[method-assign]
            assert rows.one(second.pk).name == "b"
            return super().values()

    rows._of = lambda found: Interrupted(made(found))  # type: ignore[method-assign]
    assert [program.pk for program in rows.all()] == [first.pk]


@pytest.fixture
def committed(transactional_db: None) -> Rows:
    """Programs outside of any transaction, as requests read them."""
    make("a", "b")
    return Rows()


def fetches(rows: Rows) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        rows.all()
    return [query["sql"] for query in captured.captured_queries if "SELECT" in query["sql"]]


@on_embedded  # PostgreSQL counts the writes of all databases
@pytest.mark.django_db(transaction=True)
def test_rows_are_not_fetched_again_while_nothing_is_written(committed: Rows) -> None:
    before = committed.all()
    assert fetches(committed) == []
    assert committed.all() == before
    committed.all().clear()  # a list of its own
    assert committed.all() == before


@on_embedded  # PostgreSQL counts the writes of all databases
@pytest.mark.django_db(transaction=True)
def test_write_of_this_or_another_connection_is_seen(committed: Rows) -> None:
    committed.all()
    Program.objects.filter(name="a").update(name="c")
    assert [program.name for program in committed.all()] == ["c", "b"]

    def write() -> None:
        Program.objects.filter(name="b").update(name="d")
        connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    writer.join()
    assert [program.name for program in committed.all()] == ["c", "d"]
    assert fetches(committed) == []


@pytest.mark.django_db(transaction=True)
def test_what_a_transaction_reads_is_not_kept(committed: Rows) -> None:
    committed.all()
    with transaction.atomic():
        Program.objects.update(description="never")
        assert committed.all()[0].description == "never"
        transaction.set_rollback(True)
    assert committed.all()[0].description != "never"
