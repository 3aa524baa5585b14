"""Input about hosts that is checked, and hosts as JSON."""
