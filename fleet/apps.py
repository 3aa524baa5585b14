"""The Django app of hosts."""

from django.apps import AppConfig


class FleetConfig(AppConfig):
    """Configure the app."""

    name = "fleet"
    verbose_name = "Hosts"
