"""Tell by the exit code whether the virtual environment that runs this is one of this place and this Python.

Its tools name the folder that it was made in, which may have been moved or copied since, and its packages
the version of Python, which an upgrade of the system may have replaced.
"""

import sys
from pathlib import Path

_PREFIX = Path(sys.prefix)
_VERSION = f"python{sys.version_info[0]}.{sys.version_info[1]}"


def is_moved(tool: Path) -> bool:
    """Return whether the first line of a tool names the interpreter of another environment."""
    line = tool.read_text().partition("\n")[0]
    if not line.startswith("#!/") or line == "#!/bin/sh":
        return False
    interpreter = Path(line.removeprefix("#!"))
    return not interpreter.exists() or not interpreter.parent.samefile(_PREFIX / "bin")


tools = [tool for name in ("pip", "gunicorn") if (tool := _PREFIX / "bin" / name).is_file()]
is_current = (_PREFIX / "lib" / _VERSION / "site-packages").is_dir() and not any(map(is_moved, tools))
sys.exit(0 if is_current else 1)
