"""The rules of a program's fields, each with its sentence."""
