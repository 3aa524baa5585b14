"""Drills: tests that take long or are randomized. ``DRILL_ROUNDS`` makes them longer."""

import os

ROUNDS = int(os.environ.get("DRILL_ROUNDS", "1"))
