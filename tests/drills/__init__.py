"""Drills: what takes long, or comes out differently each time. ``DRILL_ROUNDS`` makes them longer."""

import os

ROUNDS = int(os.environ.get("DRILL_ROUNDS", "1"))
