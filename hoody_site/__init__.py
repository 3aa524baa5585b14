"""The project around the apps: settings, access, errors, and the stack of processes."""

__version__ = "1.0.0"
