from django.apps import AppConfig


class HoodySiteConfig(AppConfig):
    name = "hoody_site"
    verbose_name = "Access"

    def ready(self) -> None:
        from hoody_site.api import openapi  # noqa: F401  (registered by being imported)
