"""The admin site of the project, its first page, and the pages of API tokens."""

from hoody_site.admin import tokens  # noqa: F401, Django registers admin pages on import
