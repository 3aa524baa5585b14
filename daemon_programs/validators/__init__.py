"""The rules for a program's fields, each with its error message."""
