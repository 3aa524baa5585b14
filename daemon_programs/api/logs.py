"""The response of the ``logs`` routes, of programs and of temporary programs."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from daemon_programs.logs.tail import MAX_JSON_BYTES, tail
from daemon_programs.models import SupervisedProgram
from daemon_programs.supervisor.instances import Key

# A browser has to lay out the whole page, and HTML needs several bytes for a character.
_PAGE_BYTES = 128 * 1024


def log_response(
    request: Request, program: SupervisedProgram, key: Key | None, query: dict[str, Any]
) -> Response:
    """Return the last lines of a log as a response; ``query`` is validated by a ``LogQuerySerializer``."""
    path = program.log_path(query["type"], key)
    lines, is_truncated = tail(path, query["lines"], program.user, room_of(request))
    return Response(
        {
            "success": True,
            "logs": "\n".join(lines),
            "type": query["type"],
            "lines": len(lines),
            "log_file": path,
            **({"truncated": True} if is_truncated else {}),
        }
    )


def room_of(request: Request) -> int:
    """Return how many bytes of lines the response to a request may have."""
    return _PAGE_BYTES if request.accepted_renderer.format == "api" else MAX_JSON_BYTES
