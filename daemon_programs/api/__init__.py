"""The HTTP API of programs, statuses, logs, events and webhooks."""
