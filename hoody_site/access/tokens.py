"""API tokens from the command line, and the file ``api-token`` that scripts of this host read."""

from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction

from daemon_programs.exceptions import Refused
from daemon_programs.files import replace_text
from hoody_site.access.models import ApiToken, digest_of


def create(username: str, name: str, lifetime: timedelta | None) -> str:
    """A token for a user; Refused if they have one of that name."""
    user = _user(username)
    if ApiToken.objects.filter(user=user, name=name).exists():
        raise Refused(f"{username} has a token '{name}' already: rotate it, or choose another name")
    return ApiToken.issue(user, name, lifetime)


def rotate(username: str, name: str) -> str:
    """A new token in the place of one of a user's; the old one is revoked."""
    tokens = list(ApiToken.objects.filter(user=_user(username), name=name))
    if len(tokens) != 1:
        count = "no token" if not tokens else f"{len(tokens)} tokens"
        raise Refused(f"{username} has {count} of the name '{name}'")
    return _rotate(tokens[0])


def rotate_kept() -> str:
    """A new token in the place of the one that ``api-token`` holds, there as well."""
    kept = ApiToken.find(_kept())
    if kept is None:
        raise Refused(f"{settings.API_TOKEN_FILE} holds no token that is valid: say whose, and its name")
    return _rotate(kept)


def _rotate(token: ApiToken) -> str:
    is_kept = token.digest == digest_of(_kept())
    with transaction.atomic():
        text = token.rotate()
        if is_kept:  # last: if the file can't be written, the old token stays what it was
            replace_text(Path(settings.API_TOKEN_FILE), text + "\n")
    return text


def _kept() -> str:
    try:
        return Path(settings.API_TOKEN_FILE).read_text().strip()
    except FileNotFoundError:
        return ""


def _user(username: str) -> User:
    try:
        return User.objects.get(username=username)
    except User.DoesNotExist:
        raise Refused(f"There is no user '{username}'") from None
