"""``programs.json``: the programs for other tools, kept in step with the database (contract, section 7).

Written by a thread of its own, at most a few times a second however many changes come in, so that no
request waits for it. What a crash keeps from being written is written at the next start.
"""

import atexit
import fcntl
import json
import logging
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from daemon_programs.documents import program_document
from daemon_programs.files import replace_text
from daemon_programs.models import Program

logger = logging.getLogger(__name__)

_GATHER_SECONDS = 0.2  # changes that come together are written together
_RETRY_SECONDS = 5.0  # after a fault such as a full disk


def text_of(programs: Iterable[Program]) -> str:
    """The content of a programs file."""
    return to_text({"programs": [program_document(program) for program in programs]})


def to_text(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def write() -> bool:
    """Bring the file in line with the database; whether it had to be changed."""
    path = Path(settings.PROGRAMS_FILE)
    with _file_lock(path):
        # Read under the lock: whoever comes second must not write what it read first.
        text = text_of(Program.objects.order_by("id"))
        if path.exists() and path.read_bytes() == text.encode():
            return False
        replace_text(path, text)
    return True


def touch() -> None:
    """Have the file written soon."""
    _writer.touch()


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    """The API, the queue and commands write the same file."""
    with open(path.with_name(f".{path.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class _Writer:
    """The thread that writes, started with the first change."""

    def __init__(self) -> None:
        self._dirty = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def touch(self) -> None:
        self._dirty.set()
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)
                self._thread.start()
                atexit.unregister(self.flush)
                atexit.register(self.flush)

    def flush(self) -> None:
        """Write what is still to be written, at the process' end."""
        if self._dirty.is_set():
            self._write()

    def _run(self) -> None:
        while True:
            self._dirty.wait()
            time.sleep(_GATHER_SECONDS)
            if not self._write():
                time.sleep(_RETRY_SECONDS)

    def _write(self) -> bool:
        self._dirty.clear()
        try:
            write()
        except Exception:
            self._dirty.set()
            logger.exception("programs.json can't be written; trying again in %s seconds", _RETRY_SECONDS)
            connection.close()
            return False
        return True


_writer = _Writer()
