"""The pages of programs, their history and their webhooks in the Django admin."""

from daemon_programs.admin import delivery, event, program  # noqa: F401  (registered by being imported)
