"""What the first start makes: an administrator, a token, and the programs to begin with."""

import secrets
from typing import NamedTuple

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import transaction

from daemon_programs.exceptions import BackupUnusable
from daemon_programs.files import replace_text
from daemon_programs.maintenance import program_sets
from daemon_programs.models import Program
from daemon_programs.programs import registration
from hoody_site.access.models import ApiToken
from hoody_site.stack.problem import StackProblem

ADMINISTRATOR = "admin"


class Secrets(NamedTuple):
    """What is shown once, on the first start."""

    password: str
    token: str


def make_first_administrator() -> Secrets | None:
    """On the first start: an administrator and a token for clients; returns password and token.

    There is no default for either. The token is also kept in ``api-token`` for scripts of this host.
    """
    if _is_set_up():
        return None
    password = secrets.token_urlsafe(12)
    with transaction.atomic():  # nobody is made whose token stands nowhere
        administrator = get_user_model().objects.create_superuser(ADMINISTRATOR, password=password)
        token = ApiToken.issue(administrator, "first start")
        replace_text(settings.API_TOKEN_FILE, token + "\n")
    return Secrets(password, token)


def load_programs() -> None:
    """Into a new database: load the programs; and make the snapshot that ``reset`` goes back to.

    The programs are the snapshot's, or those of a ``programs.json`` that is there already: whoever
    brings one from an installation of before goes on with it, and so does who has lost the database.
    """
    try:
        if not settings.DEFAULT_PROGRAMS_FILE.exists():
            program_sets.make_snapshot(program_sets.shipped_defaults())
        if not _is_set_up() and not Program.objects.exists():
            is_adopted = settings.PROGRAMS_FILE.exists()
            file = settings.PROGRAMS_FILE if is_adopted else settings.DEFAULT_PROGRAMS_FILE
            with registration.offline():
                program_sets.import_programs(program_sets.read_documents(file))
    except BackupUnusable as problem:
        raise StackProblem(f"The programs can't be loaded: {problem}") from problem


def _is_set_up() -> bool:
    """Whether there is an administrator: made last, so until then the next start is a first one again."""
    return get_user_model().objects.exists()
