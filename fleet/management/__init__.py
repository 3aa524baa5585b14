"""The management commands of hosts."""
