"""Programs as files of other tools: a package for each format.

A package's `write` takes the programs as `daemonctl export` has them, and returns files with notes about what
has no counterpart. The notes are in the files as comments, too.
"""
