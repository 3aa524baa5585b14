"""The admin as a console of this host's programs."""

from django.contrib.admin import AdminSite


class ConsoleSite(AdminSite):
    """The admin site of the project."""

    site_header = "Daemon API"
    site_title = "Daemon API"
    index_title = "Programs and access"
