"""The ready-made groups: made once, given what an upgrade brings, else the administrator's."""

from tests.stack import Stack

NAMES = "print('has', *(each.codename for each in Group.objects.get(name='operators').permissions.all()))"
HEAD = "from django.contrib.auth.models import Group, Permission\n"


def has(stack: Stack, *before: str) -> set[str]:
    done = stack.manage("shell", "--no-imports", "-c", HEAD + "\n".join([*before, NAMES]))
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split()[1:])


def test_new_permissions_reach_the_groups_and_changes_of_the_administrator_stay(own_stack: Stack) -> None:
    first = has(own_stack.start())
    assert {"add_program", "view_program", "view_event", "operate_program"} <= first
    assert own_stack.stop() == 0
    changed = has(
        own_stack,
        "operators = Group.objects.get(name='operators')",
        "operators.permissions.remove(Permission.objects.get(codename='add_program'))",
        "operators.permissions.add(Permission.objects.get(codename='view_user'))",
        "Permission.objects.get(codename='operate_program').delete()",  # as it was before there was one
    )
    assert changed == first - {"add_program", "operate_program"} | {"view_user"}
    own_stack.start()
    assert has(own_stack) == changed | {"operate_program"}
