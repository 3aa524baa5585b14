"""The Django project: settings, access, errors, metrics, and the stack of processes."""
