"""Change several programs as a whole, or not at all."""
