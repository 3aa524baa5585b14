"""The HTTP routes of programs, statuses, logs, events and webhooks."""
