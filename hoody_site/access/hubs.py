"""The user that hubs act as on this host, and their tokens: one for each hub."""

from django.contrib.auth.models import Group, User
from django.db import transaction

from daemon_programs.exceptions import Refused
from hoody_site.access.models import ApiToken

USERNAME = "hub"
_GROUP = "operators"


@transaction.atomic
def issue(name: str) -> str:
    """Return a new token for a hub, beside those that it has. The user is made with the first one.

    A user of its own has no password, and its rights are the administrator's to change. Raise Refused if
    people log in as this user, or it may do everything.
    """
    user, is_new = User.objects.get_or_create(username=USERNAME)
    if is_new:
        user.set_unusable_password()
        user.save()
        user.groups.add(Group.objects.get(name=_GROUP))
    elif user.is_superuser or user.is_staff or user.has_usable_password():
        raise Refused(
            f"The user '{USERNAME}' logs in with a password: rename it, hubs need a user of their own"
        )
    elif not user.is_active:
        raise Refused(f"The user '{USERNAME}' is not active, so that no hub can use this host")
    return ApiToken.issue(user, name)


def keep_only(token: str) -> None:
    """Revoke all tokens of the same hub but this one."""
    kept = ApiToken.find(token)
    if kept is not None:
        ApiToken.objects.filter(user=kept.user, name=kept.name).exclude(pk=kept.pk).delete()


def revoke(token: str) -> None:
    """Revoke a token."""
    if (unused := ApiToken.find(token)) is not None:
        unused.delete()
