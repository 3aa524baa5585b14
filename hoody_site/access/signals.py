"""Connect the logins that succeeded and failed with their effects. Each receiver makes one call."""

from typing import Any

from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest

from hoody_site.access.attempts import client_address
from hoody_site.access.failures import failure_log


@receiver(user_logged_in)
def take_failures_back(request: HttpRequest | None, **kwargs: Any) -> None:
    """Take back the failures of the account at this client."""
    if attempt := getattr(request, "password_attempt", None):
        attempt.succeeded()


@receiver(user_login_failed)
def log_failure(request: HttpRequest | None = None, **kwargs: Any) -> None:
    """Have the failure logged."""
    if request is not None:
        failure_log.add("failed logins", client_address(request))
