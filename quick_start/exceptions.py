"""What can go wrong with a temporary program beside what can with any: it is not there (any more)."""

from daemon_programs.exceptions import ProgramNotFound


class EphemeralProgramNotFound(ProgramNotFound):
    def __init__(self, temporary_id: str) -> None:
        Exception.__init__(self, f"Ephemeral program with ID {temporary_id} not found")
        self.extra = {}
