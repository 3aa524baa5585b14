"""The ready-made groups, and what each may do."""

from django.contrib.auth.models import Group, Permission
from django.db import connection

# What each ready-made group may do, by permission. Whoever may add programs may run anything.
GROUPS = {
    "viewers": ["view_program", "view_event", "view_delivery", "view_ephemeralprogram"],
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
    ],
}


def known_permissions() -> set[str]:
    """The permissions that there are before the database is migrated."""
    if Permission._meta.db_table not in connection.introspection.table_names():
        return set()
    return set(Permission.objects.values_list("codename", flat=True))


def make_groups(known: set[str]) -> None:
    """Make the groups, and give them what an upgrade has brought; else they are the administrator's."""
    for name, codenames in GROUPS.items():
        group, created = Group.objects.get_or_create(name=name)
        news = set(codenames) if created else set(codenames) - known
        group.permissions.add(*Permission.objects.filter(codename__in=news))
