"""The Django app of hosts."""

from django.apps import AppConfig


class FleetConfig(AppConfig):
    """Configure the app."""

    name = "fleet"
    verbose_name = "Hosts"

    def ready(self) -> None:
        """Connect the signal receivers, which happens on import."""
        from fleet import signals  # noqa: F401
