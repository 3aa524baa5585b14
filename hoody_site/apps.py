"""The Django app of the project."""

import gc

from django.apps import AppConfig


class HoodySiteConfig(AppConfig):
    """Configure the app."""

    name = "hoody_site"
    verbose_name = "Access"

    def ready(self) -> None:
        """Register the system checks, the receivers and the OpenAPI extensions, which happens on import.

        Then begin to look for garbage, which a process doesn't do while it imports the project.
        """
        from hoody_site import checks  # noqa: F401
        from hoody_site.access import signals  # noqa: F401
        from hoody_site.api import openapi  # noqa: F401

        # Nothing of what has been imported is garbage: don't look through it ever again.
        gc.freeze()
        gc.enable()
