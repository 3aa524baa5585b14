"""Programs as services of systemd, by the rules of systemd 252."""
