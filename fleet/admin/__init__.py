"""The admin pages of hosts."""

from fleet.admin import programs  # noqa: F401  (registered by being imported)
