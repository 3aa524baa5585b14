"""The predefined user groups and their permissions."""

from django.apps import apps
from django.contrib.auth import get_permission_codename
from django.contrib.auth.models import Group, Permission
from django.db import connection

# Codenames of permissions by group. With `add_program` a user can run any command.
GROUPS = {
    "viewers": [
        "view_program",
        "view_event",
        "view_delivery",
        "view_ephemeralprogram",
        "view_host",
        "view_hostcall",
        "view_rollout",
    ],
    "operators": [
        "view_program",
        "view_event",
        "view_delivery",
        "add_program",
        "change_program",
        "delete_program",
        "operate_program",
        "view_ephemeralprogram",
        "add_ephemeralprogram",
        "delete_ephemeralprogram",
        "operate_ephemeralprogram",
        "view_host",
        "view_hostcall",
        "view_rollout",
        "operate_host",
    ],
}


def known_permissions() -> set[str]:
    """Return the codenames of the permissions in the database; call it before the migrations."""
    if Permission._meta.db_table not in connection.introspection.table_names():
        return set()
    return set(Permission.objects.values_list("codename", flat=True))


def permissions_of_models() -> set[str]:
    """Return the codenames of the permissions that the migrations end with."""
    every = [model._meta for model in apps.get_models()]
    default = {get_permission_codename(action, each) for each in every for action in each.default_permissions}
    return default | {codename for each in every for codename, _ in each.permissions}


def make_groups(known: set[str]) -> None:
    """Create the missing groups, and grant existing ones the permissions that an upgrade has added.

    ``known`` holds the codenames from before the upgrade. Other permissions of existing groups are left as
    the administrator has set them.
    """
    for name, codenames in GROUPS.items():
        group, created = Group.objects.get_or_create(name=name)
        new = set(codenames) if created else set(codenames) - known
        group.permissions.add(*Permission.objects.filter(codename__in=new))
