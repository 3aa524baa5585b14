"""``Authorization: Bearer <token>`` (contract, section 1)."""

from django.contrib.auth.models import User
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from hoody_site.models import ApiToken, digest_of


class BearerAuthentication(BaseAuthentication):
    """Finds the token by its digest, so that no comparison tells how much of a guess was right."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        scheme, _, credentials = get_authorization_header(request).decode("latin-1").partition(" ")
        if not scheme:
            return None
        if scheme.lower() != "bearer":
            raise AuthenticationFailed("The Authorization header must be: Bearer <token>")
        token = ApiToken.objects.select_related("user").filter(digest=digest_of(credentials.strip())).first()
        if token is None or not token.user.is_active:
            raise AuthenticationFailed("The API token is not valid")
        token.used()
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class BearerScheme(OpenApiAuthenticationExtension):
    """How the OpenAPI document names it."""

    target_class = BearerAuthentication
    name = "bearerAuth"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}
