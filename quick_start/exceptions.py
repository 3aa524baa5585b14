"""The exception for unknown temporary programs."""

from daemon_programs.exceptions import ProgramNotFound


class EphemeralProgramNotFound(ProgramNotFound):
    """There is no temporary program with this id, or its record has been purged."""

    def __init__(self, temporary_id: str) -> None:
        Exception.__init__(self, f"Ephemeral program with ID {temporary_id} not found")
        self.extra = {}
