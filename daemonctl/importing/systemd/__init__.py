"""Programs of systemd."""
