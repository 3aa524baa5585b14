"""The Django app of the project, and that of its admin site."""

import gc

from django.apps import AppConfig
from django.contrib.admin.apps import SimpleAdminConfig

from daemon_programs import optional

with optional.without("prometheus_client", "psutil"):  # for clusters that run otherwise
    import django_q.conf  # noqa: F401


class HoodySiteConfig(AppConfig):
    """Configure the app."""

    name = "hoody_site"
    verbose_name = "Access"
    default = True

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


class ConsoleConfig(SimpleAdminConfig):
    """Configure the admin. ``urls.py`` loads its pages, which other processes don't need."""

    default_site = "hoody_site.console.site.ConsoleSite"
    default = False
