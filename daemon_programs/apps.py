from django.apps import AppConfig


class DaemonProgramsConfig(AppConfig):
    name = "daemon_programs"
    verbose_name = "Programs"

    def ready(self) -> None:
        from daemon_programs import signals  # noqa: F401  (connected by being imported)
