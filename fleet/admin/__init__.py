"""The admin pages of hosts."""

from fleet.admin import rollouts  # noqa: F401  (registered by being imported)
