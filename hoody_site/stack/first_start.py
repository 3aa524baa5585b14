"""Create what a new installation needs: an administrator, an API token, and the first programs."""

import secrets
from typing import NamedTuple

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import transaction

from daemon_programs.exceptions import BackupUnusable
from daemon_programs.files import replace_text
from daemon_programs.models import Program
from daemon_programs.programs import registration
from hoody_site.access.models import ApiToken
from hoody_site.stack.problem import StackProblem

ADMINISTRATOR = "admin"


class Secrets(NamedTuple):
    """The credentials of the first start, which are shown only once."""

    password: str
    token: str


def make_first_administrator() -> Secrets | None:
    """Create an administrator and an API token and return their secrets; None after the first start.

    Both are random. The token is also written to ``api-token`` for scripts on this host.
    """
    if _is_set_up():
        return None
    password = secrets.token_urlsafe(12)
    with transaction.atomic():  # if the token can't be written, the administrator is not created either
        administrator = get_user_model().objects.create_superuser(ADMINISTRATOR, password=password)
        token = ApiToken.issue(administrator, "first start")
        replace_text(settings.API_TOKEN_FILE, token + "\n")
    return Secrets(password, token)


def load_programs() -> None:
    """Create the snapshot for ``reset`` if it is missing, and load programs into a new database.

    An existing ``programs.json`` is loaded rather than the snapshot: it was brought from an earlier
    installation, or the database was lost. Raise StackProblem if the file can't be loaded.
    """
    is_new = not _is_set_up() and not Program.objects.exists()
    if not is_new and settings.DEFAULT_PROGRAMS_FILE.exists():
        return
    # Here, since it loads Django REST framework, which later starts don't need.
    from daemon_programs.maintenance.sets import replacing

    try:
        if not settings.DEFAULT_PROGRAMS_FILE.exists():
            replacing.make_snapshot(replacing.shipped_defaults())
        if is_new:
            is_adopted = settings.PROGRAMS_FILE.exists()
            file = settings.PROGRAMS_FILE if is_adopted else settings.DEFAULT_PROGRAMS_FILE
            with registration.offline():
                replacing.import_programs(replacing.read_documents(file))
    except BackupUnusable as problem:
        raise StackProblem(f"The programs can't be loaded: {problem}") from problem


def _is_set_up() -> bool:
    """Return whether there is a user.

    The administrator is created last, so a first start that fails before that is repeated.
    """
    return get_user_model().objects.exists()
