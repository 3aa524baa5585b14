"""Drills: tests that take long or are randomized. ``DRILL_ROUNDS`` makes them longer.

``DRILL_SEED`` repeats the random choices of an earlier run, which printed its seed.
"""

import os
import time

ROUNDS = int(os.environ.get("DRILL_ROUNDS", "1"))
SEED = int(os.environ.get("DRILL_SEED", time.time_ns() % 10**6))
