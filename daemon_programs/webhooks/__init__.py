"""Webhooks: from a recorded event to a signed, delivered request."""
