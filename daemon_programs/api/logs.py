"""The response of the ``logs`` routes, of programs and of temporary programs."""

from typing import Any

from rest_framework.response import Response

from daemon_programs.logs.tail import tail
from daemon_programs.models import SupervisedProgram


def log_response(program: SupervisedProgram, port: int | None, query: dict[str, Any]) -> Response:
    """Return the last lines of a log as a response; ``query`` is validated by a ``LogQuerySerializer``."""
    path = program.log_path(query["type"], port)
    lines = tail(path, query["lines"], program.user)
    return Response(
        {
            "success": True,
            "logs": "\n".join(lines),
            "type": query["type"],
            "lines": len(lines),
            "log_file": path,
        }
    )
