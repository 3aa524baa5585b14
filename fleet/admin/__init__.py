"""The admin pages of hosts."""

from fleet.admin import calls, hosts, invitations  # noqa: F401  (registered by being imported)
