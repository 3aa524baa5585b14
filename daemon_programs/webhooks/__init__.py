"""Webhooks: from the block that says who wants to know what, over the outbox, to a signed request."""
