"""Webhooks: from a recorded event to the delivery of a signed request."""
