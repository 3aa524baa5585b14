"""The admin pages of programs, their history and their webhook deliveries."""

from daemon_programs.admin import delivery, event, program  # noqa: F401  (registered by being imported)
