"""Operate programs, and query what is known about those that run."""
