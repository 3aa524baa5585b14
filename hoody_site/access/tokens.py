"""Create and rotate API tokens for the management commands, and keep the file ``api-token`` current.

Scripts on this host read their token from that file.
"""

from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction

from daemon_programs.exceptions import Refused
from daemon_programs.files import replace_text
from hoody_site.access.models import ApiToken, digest_of


def create(username: str, name: str, lifetime: timedelta | None) -> str:
    """Create a token for a user and return its text; raise Refused if the user has one of that name."""
    user = _user(username)
    if ApiToken.objects.filter(user=user, name=name).exists():
        raise Refused(f"{username} already has a token named '{name}': rotate it, or choose another name")
    return ApiToken.issue(user, name, lifetime)


def rotate(username: str, name: str) -> str:
    """Replace a user's token with a new one, revoke the old one, and return the new text.

    Raise Refused unless the user has exactly one token of that name.
    """
    tokens = list(ApiToken.objects.filter(user=_user(username), name=name))
    if len(tokens) != 1:
        count = "no token" if not tokens else f"{len(tokens)} tokens"
        raise Refused(f"{username} has {count} named '{name}'")
    return _rotate(tokens[0])


def rotate_stored() -> str:
    """Replace the token of the file ``api-token``, rewrite the file, and return the new text.

    Raise Refused if the file does not hold a valid token.
    """
    token = ApiToken.find(_stored_token())
    if token is None:
        raise Refused(f"{settings.API_TOKEN_FILE} does not hold a valid token: name the user and the token")
    return _rotate(token)


def _rotate(token: ApiToken) -> str:
    is_stored = token.digest == digest_of(_stored_token())
    with transaction.atomic():
        text = token.rotate()
        if is_stored:  # last: if the file can't be written, the old token stays valid
            replace_text(Path(settings.API_TOKEN_FILE), text + "\n")
    return text


def _stored_token() -> str:
    try:
        return Path(settings.API_TOKEN_FILE).read_text().strip()
    except FileNotFoundError:
        return ""


def _user(username: str) -> User:
    try:
        return User.objects.get(username=username)
    except User.DoesNotExist:
        raise Refused(f"There is no user '{username}'") from None
