"""The HTTP routes of quick start."""
