#!/usr/bin/env python
"""The command line of a clone; ``hoody-daemon`` is that of an installed package."""

from hoody_daemon.__main__ import main

if __name__ == "__main__":
    main()
