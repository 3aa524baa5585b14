"""Configuration of gunicorn, which serves the API."""
