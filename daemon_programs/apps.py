"""The Django app of programs, their history, logs and webhooks."""

from django.apps import AppConfig


class DaemonProgramsConfig(AppConfig):
    """Configure the app."""

    name = "daemon_programs"
    verbose_name = "Programs"

    def ready(self) -> None:
        """Connect the signal receivers, which happens on import."""
        from daemon_programs import signals  # noqa: F401
