"""What can be done with programs, and what is known of those that run."""
