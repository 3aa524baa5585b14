"""The files of programs: logs and folders, opened and inspected without being led astray by links."""
