"""Queries that Django compiles once: with the columns of a program that takes longer than to run them."""

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection
from django.db.models import Model, QuerySet
from django.db.models.query import get_related_populators
from django.db.models.sql.compiler import SQLCompiler

M = TypeVar("M", bound=Model)
Row = tuple[Any, ...]


class Prepared(Generic[M]):
    """A query of which only the parameters differ, in the order of its conditions."""

    def __init__(self, make: Callable[[], "QuerySet[M]"]) -> None:
        self._make = make  # called with the first query, when the models are loaded

    @cached_property
    def _compiled(self) -> tuple[SQLCompiler, str]:
        compiler = self._make().query.get_compiler(DEFAULT_DB_ALIAS)
        sql, _ = compiler.as_sql()
        return compiler, str(sql)

    @cached_property
    def _converters(self) -> Any:
        """What makes Python values of stored ones, by column."""
        compiler, _ = self._compiled
        return compiler.get_converters([column for column, *_ in compiler.select or ()])

    def rows(self, *parameters: Any) -> list[Row]:
        """Return the rows of the table as they are stored."""
        with connection.cursor() as cursor:
            cursor.execute(self._compiled[1], parameters)
            return list(cursor.fetchall())

    def objects(self, rows: list[Row]) -> Iterator[M]:
        """Return the objects of rows."""
        if not rows:
            return
        compiler, _ = self._compiled
        select: Any = compiler.select
        about: Any = compiler.klass_info
        columns = slice(about["select_fields"][0], about["select_fields"][-1] + 1)
        names = [column.target.attname for column, *_ in select[columns]]
        related = get_related_populators(about, select, DEFAULT_DB_ALIAS)  # type: ignore[call-arg]
        for values in compiler.apply_converters(rows, self._converters):
            made = about["model"].from_db(DEFAULT_DB_ALIAS, names, values[columns])
            for populator in related:
                populator.populate(values, made)
            yield made
