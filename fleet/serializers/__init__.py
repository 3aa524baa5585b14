"""Validate what clients send about hosts."""
