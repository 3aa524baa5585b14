"""Authenticate ``Authorization: Bearer <token>`` (docs/contract.md, section 1)."""

from django.contrib.auth.models import User
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import status
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import APIException, AuthenticationFailed
from rest_framework.request import Request

from hoody_site.access.attempts import TOO_MANY, attempts, client_address
from hoody_site.access.failures import failure_log
from hoody_site.access.models import ApiToken
from hoody_site.access.uses import uses


class TooManyAttempts(APIException):
    """Answer 429: the client has sent too many tokens that are not valid."""

    status_code = status.HTTP_429_TOO_MANY_REQUESTS
    default_detail = TOO_MANY
    default_code = "too_many_attempts"

    def __init__(self, wait: int) -> None:
        super().__init__()
        self.wait = wait  # seconds


class BearerAuthentication(BaseAuthentication):
    """Accept an API token in the Authorization header only: URLs end up in logs and browser histories."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        """Return the user and the token; None without the header. Raise if the token can't be used."""
        scheme, _, credentials = get_authorization_header(request).decode("latin-1").partition(" ")
        if not scheme:
            return None
        if scheme.lower() != "bearer":
            raise AuthenticationFailed("The Authorization header must be: Bearer <token>")
        # Look the token up before the failures: they may be another client's at the same address, and a valid
        # token is never refused for them.
        token = ApiToken.find(credentials.strip())
        if token is None or not token.user.is_active:
            self._count_failure(request)
            raise AuthenticationFailed("The API token is not valid")
        if token.has_expired:
            raise AuthenticationFailed("The API token has expired")
        attempts.reset("token", client_address(request))
        uses.remember(token.digest)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        """Return the scheme for the WWW-Authenticate header of a 401."""
        return "Bearer"

    def _count_failure(self, request: Request) -> None:
        client = client_address(request)
        failure_log.add("tokens that are not valid", client)
        if wait := attempts.count(("token", client)):
            raise TooManyAttempts(wait)


class BearerScheme(OpenApiAuthenticationExtension):
    """Describe the bearer authentication in the OpenAPI document."""

    target_class = BearerAuthentication
    name = "bearerAuth"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        """Return the OpenAPI security scheme."""
        return {"type": "http", "scheme": "bearer"}
