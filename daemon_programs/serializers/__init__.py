"""What clients send, checked; and programs as JSON."""
