"""The last lines of a program's logs, for its page; `live_log.js` appends new ones."""

import re
from urllib.parse import urlencode

from daemon_programs.exceptions import DaemonError
from daemon_programs.logs.tail import tail
from daemon_programs.models import SupervisedProgram
from daemon_programs.supervisor.instances import Key

LOG_LINES = 50
# A single line may have megabytes.
_MAX_LOG_CHARACTERS = 64 * 1024
# Escape sequences of terminals (colours, cursor movements, titles), which browsers can't interpret.
TERMINAL_SEQUENCES = re.compile(
    r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[ -/]*[0-~])|[\x0e\x0f]"
)


def log_tails(program: SupervisedProgram, address: str, key: Key | None = None) -> list[dict[str, str]]:
    """Return the template context of ``logs.html``: the last lines of both logs, and where to stream them.

    ``address`` is the path of the program's log stream.
    """
    tails = []
    for stream in ("stdout", "stderr"):
        file = program.log_path(stream, key)
        query = {"type": stream, "lines": LOG_LINES, **({} if key is None else {key.kind.name: key.value})}
        live = f"{address}?{urlencode(query)}"
        tails.append({"stream": stream, "file": file, "live": live, **_log_tail(file, program.user)})
    return tails


def _log_tail(file: str, user: str) -> dict[str, str]:
    try:
        text = "\n".join(tail(file, LOG_LINES, user, _MAX_LOG_CHARACTERS).lines)
    except DaemonError as problem:
        return {"problem": f"{problem}."}
    except OSError as problem:
        return {"problem": f"It can't be read: {problem.strerror}"}
    return {"text": TERMINAL_SEQUENCES.sub("", text)}
