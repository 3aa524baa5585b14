"""The admin pages of hosts."""

from fleet.admin import (  # noqa: F401  (registered by being imported)
    calls,
    hosts,
    invitations,
    programs,
    rollouts,
)
