"""Files that describe programs, in YAML or JSON: read with their variables, and written."""
