"""A start migrates only if there is something to migrate."""

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from hoody_site.stack import database, migrations


def test_names_are_those_that_django_finds() -> None:
    assert migrations.of_this_version() == MigrationLoader(None).disk_migrations.keys()


def test_applied_migrations_of_apps_that_are_gone_are_not_later_ones() -> None:
    applied = [("auth", "9999_later"), ("gone", "0001_initial"), *migrations.of_this_version()]
    assert migrations.of_later_versions(applied) == [("auth", "9999_later")]


@pytest.mark.django_db
def test_nothing_is_migrated_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "call_command", lambda *arguments, **options: pytest.fail("called"))
    database.migrate()


@pytest.mark.django_db
def test_what_an_interrupted_migration_has_left_out_is_made_up_for() -> None:
    Permission.objects.filter(codename="operate_program").delete()
    database.migrate()
    assert Permission.objects.filter(codename="operate_program").exists()


@pytest.mark.django_db
def test_migration_that_is_not_applied_is(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    monkeypatch.setattr(database, "call_command", lambda *arguments, **options: called.append(arguments))
    MigrationRecorder(connection).record_unapplied("daemon_programs", "0001_initial")
    database.migrate()
    assert called == [("migrate",)]
