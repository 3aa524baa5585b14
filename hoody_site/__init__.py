"""The Django project: settings, access, errors, metrics, and the stack of processes."""

__version__ = "1.0.0"
