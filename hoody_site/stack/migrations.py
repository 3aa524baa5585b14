"""The migrations of this version, by the names of their files: to load them all takes longer than a start."""

from collections.abc import Iterable
from importlib.util import find_spec
from pkgutil import iter_modules

from django.apps import apps
from django.db.migrations.loader import MigrationLoader

Migration = tuple[str, str]  # the label of its app, and its name


def of_this_version() -> set[Migration]:
    """Return all migrations of the installed apps."""
    return {(app, name) for app, folder in _folders() for name in _names(folder)}


def of_later_versions(applied: Iterable[Migration]) -> list[Migration]:
    """Return the applied migrations that this version doesn't have, of apps that it has."""
    apps_here = {app for app, _ in _folders()}
    return sorted((app, name) for app, name in set(applied) - of_this_version() if app in apps_here)


def _folders() -> Iterable[tuple[str, list[str]]]:
    for config in apps.get_app_configs():
        module, _ = MigrationLoader.migrations_module(config.label)
        spec = find_spec(module) if module else None
        if spec is not None and spec.submodule_search_locations:
            yield config.label, list(spec.submodule_search_locations)


def _names(folder: list[str]) -> Iterable[str]:
    for _, name, is_package in iter_modules(folder):
        if not is_package and name[0] not in "_~":  # as Django's loader has it
            yield name
