"""gunicorn, which serves the API."""
