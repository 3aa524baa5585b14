from django.apps import AppConfig


class DaemonProgramsConfig(AppConfig):
    name = "daemon_programs"
    verbose_name = "Programs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from daemon_programs import signals  # noqa: F401  (connected by being imported)
