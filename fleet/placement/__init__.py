"""Run a temporary program on the host with the most room."""
