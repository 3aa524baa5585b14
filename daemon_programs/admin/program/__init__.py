"""The admin pages of programs: the list, the form, and the live page above it."""

from daemon_programs.admin.program import model_admin  # noqa: F401  (registered by being imported)
