"""Processes as the kernel shows them: trees, notes of starts, survivors."""
