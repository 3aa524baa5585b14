from django.apps import AppConfig


class QuickStartConfig(AppConfig):
    name = "quick_start"
    verbose_name = "Quick start"

    def ready(self) -> None:
        from quick_start import signals  # noqa: F401  (connected by being imported)
