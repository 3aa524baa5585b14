"""What programs print and read: pipes, terminals, logs with rotation."""
