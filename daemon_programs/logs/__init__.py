"""Program logs: the last lines, and live streams over rotations and truncations."""
