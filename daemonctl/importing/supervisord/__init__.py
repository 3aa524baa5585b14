"""Programs of supervisord."""
