"""What is known about programs that run: statuses, figures, findings."""
