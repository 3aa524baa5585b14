"""``Authorization: Bearer <token>`` (contract, section 1)."""

from django.contrib.auth.models import User
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import status
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import APIException, AuthenticationFailed
from rest_framework.request import Request

from hoody_site.access.attempts import TOO_MANY, attempts, client_of
from hoody_site.access.models import ApiToken


class TooManyAttempts(APIException):
    status_code = status.HTTP_429_TOO_MANY_REQUESTS
    default_detail = TOO_MANY
    default_code = "too_many_attempts"

    def __init__(self, wait: int) -> None:
        super().__init__()
        self.wait = wait  # seconds


class BearerAuthentication(BaseAuthentication):
    """A token in the header, and nowhere else: addresses end up in logs and histories."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        scheme, _, credentials = get_authorization_header(request).decode("latin-1").partition(" ")
        if not scheme:
            return None
        if scheme.lower() != "bearer":
            raise AuthenticationFailed("The Authorization header must be: Bearer <token>")
        # Looked up first: a valid token is never refused for failures, which may be another client's at this
        # address.
        token = ApiToken.find(credentials.strip())
        if token is None or not token.user.is_active:
            self._count_failure(request)
            raise AuthenticationFailed("The API token is not valid")
        if token.has_expired:
            raise AuthenticationFailed("The API token has expired")
        attempts.forget("token", client_of(request))
        token.used()
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"

    def _count_failure(self, request: Request) -> None:
        if wait := attempts.count("token", client_of(request)):
            raise TooManyAttempts(wait)


class BearerScheme(OpenApiAuthenticationExtension):
    """How the OpenAPI document names it."""

    target_class = BearerAuthentication
    name = "bearerAuth"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}
