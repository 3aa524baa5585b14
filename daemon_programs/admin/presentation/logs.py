"""The logs of a program as a page shows them: their last lines, from which `logs/main.js` makes a viewer."""

import re
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from daemon_programs.exceptions import DaemonError
from daemon_programs.logs.rotated import status_of
from daemon_programs.logs.tail import tail
from daemon_programs.models import SupervisedProgram
from daemon_programs.supervisor.instances import Key

STREAMS = ("stdout", "stderr")
LOG_LINES = 50
# A single line may have megabytes.
_MAX_LOG_CHARACTERS = 64 * 1024
# Escape sequences of terminals (colours, cursor movements, titles), which browsers can't interpret. The
# viewer shows the colours (`logs/ansi.js`).
TERMINAL_SEQUENCES = re.compile(
    r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[ -/]*[0-~])|[\x0e\x0f]"
)


def log_tails(
    program: SupervisedProgram, address: str, key: Key | None = None, *, lines: int = LOG_LINES
) -> dict[str, Any]:
    """Return the template context of ``logs.html``: the last lines of both logs, and where there are more.

    ``address`` is the path of the program's log stream in the API.
    """
    instance = {} if key is None else {key.kind.name: key.value}
    streams = []
    for stream in STREAMS:
        file = program.log_path(stream, key)
        query = {"stream": stream, **instance}
        streams.append(
            {
                "stream": stream,
                "file": file,
                "is_rotated": _is_rotated(file),
                "live": f"{address}?{urlencode({'type': stream, **instance})}",
                "earlier": _address(program, "log_earlier", query),
                "download": _address(program, "log_download", query),
                **_log_tail(file, program.user, lines),
            }
        )
    return {"streams": streams, "page": _address(program, "log", instance), "instance": key}


def _address(program: SupervisedProgram, page: str, query: dict[str, Any]) -> str:
    name = f"admin:{program._meta.app_label}_{program._meta.model_name}_{page}"
    path = reverse(name, args=[program.pk])
    return f"{path}?{urlencode(query)}" if query else path


def _is_rotated(file: str) -> bool:
    try:
        return status_of(f"{file}.1") is not None
    except OSError:  # the path can't be looked up
        return False


def _log_tail(file: str, user: str, lines: int) -> dict[str, str]:
    try:
        text = "\n".join(tail(file, lines, user, _MAX_LOG_CHARACTERS).lines)
    except DaemonError as problem:
        return {"problem": f"{problem}."}
    except OSError as problem:
        return {"problem": f"It can't be read: {problem.strerror}"}
    return {"text": TERMINAL_SEQUENCES.sub("", text)}
