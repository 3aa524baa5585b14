#!/usr/bin/env python
"""Django's command-line entry point."""

import gc
import os
import sys


def main() -> None:
    """Run a management command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hoody_site.settings")
    # What is imported stays, so looking for garbage meanwhile is in vain: hoody_site/apps.py begins with it.
    gc.disable()
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
