"""Validate requests, and represent programs as JSON."""
