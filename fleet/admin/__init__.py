"""The admin pages of hosts."""

from fleet.admin import calls, hosts, invitations, rollouts  # noqa: F401  (registered by being imported)
