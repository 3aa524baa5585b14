"""The admin pages of temporary programs: launch, watch, stop and purge them."""

from quick_start.admin import links, model_admin  # noqa: F401  (registered by being imported)
