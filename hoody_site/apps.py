from django.apps import AppConfig


class HoodySiteConfig(AppConfig):
    name = "hoody_site"
    verbose_name = "Access"

    def ready(self) -> None:
        from hoody_site import checks, openapi  # noqa: F401  (registered by being imported)
