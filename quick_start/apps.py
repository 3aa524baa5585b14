"""The Django app of quick start."""

from django.apps import AppConfig


class QuickStartConfig(AppConfig):
    """Configure the app."""

    name = "quick_start"
    verbose_name = "Quick start"

    def ready(self) -> None:
        """Connect the signal receivers, which happens on import."""
        from quick_start import signals  # noqa: F401
