"""The admin, the browsable API and the documentation in a real browser."""
