"""Files of other tools, read as programs: a module for each format, and the writer of the result.

A module's `read` takes the files and returns what they say as the fields of programs, with a note for each
thing that has no counterpart or changes its meaning.
"""
