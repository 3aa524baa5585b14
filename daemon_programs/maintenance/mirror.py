"""Write files that mirror the database for other tools (docs/contract.md, section 7).

Each file is written by its own thread, at most a few times per second however many changes there are,
so that no request waits for it. After a crash, it is written at the next start.
"""

import fcntl
import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings
from django.db import connection

from daemon_programs.files import replace_text
from daemon_programs.models import Program
from daemon_programs.models.rows import rows
from daemon_programs.serializers.representation import listed_document, program_document

logger = logging.getLogger(__name__)

_GATHER_SECONDS = 0.2  # changes in this time are written together
_RETRY_SECONDS = 5.0  # after a fault such as a full disk


class Mirror:
    """A file, and the function that makes its text from the database."""

    def __init__(self, path: Path, make_text: Callable[[], str]) -> None:
        self._path = path
        self._make_text = make_text
        self._dirty = threading.Event()
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._at_end: Finalize | None = None
        self._thread: threading.Thread | None = None

    @property
    def name(self) -> str:
        """Return the name of the file, without its folder."""
        return self._path.name

    def write(self) -> bool:
        """Write the file, if it is not up to date; return whether it was written."""
        with self._file_lock():
            # Query the database under the lock, so that an older state can't be written after a newer one.
            text = self._make_text()
            if self._has(text):
                return False
            replace_text(self._path, text)
        return True

    def is_current(self) -> bool:
        """Return whether the file is up to date. Just after a change it is not."""
        return self._has(self._make_text())

    def _has(self, text: str) -> bool:
        try:
            return self._path.read_bytes() == text.encode()
        except OSError:
            return False

    def touch(self) -> None:
        """Have the file's thread write it soon. If no thread can be started, write it at once."""
        self._dirty.set()
        try:
            self._ensure_thread()
        except RuntimeError:  # the change is made, so its caller must not fail
            self._flush()

    def _ensure_thread(self) -> None:
        """Start the thread, unless it lives. Raise RuntimeError if the system has no room for it."""
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return
            # Not `atexit`, which is not called in processes that multiprocessing forks.
            if self._at_end is not None:
                self._at_end.cancel()
            self._at_end = Finalize(None, self._flush, exitpriority=0)
            self._thread = threading.Thread(target=self._run, name=self._path.name, daemon=True)
            self._thread.start()

    def _flush(self) -> None:
        """Write a pending change, and wait for the thread if it is writing one."""
        with self._writing:
            if self._dirty.is_set():
                self._try_to_write()

    def _run(self) -> None:
        while True:
            self._dirty.wait()
            time.sleep(_GATHER_SECONDS)
            with self._writing:
                is_written = self._try_to_write()
            if not is_written:
                time.sleep(_RETRY_SECONDS)

    def _try_to_write(self) -> bool:
        self._dirty.clear()
        try:
            self.write()
        except Exception:
            self._dirty.set()
            logger.exception("%s can't be written", self._path.name)
            connection.close()
            return False
        return True

    @contextmanager
    def _file_lock(self) -> Iterator[None]:
        """Lock out other processes: the API, the queue and commands write the same file."""
        with open(self._path.with_name(f".{self._path.name}.lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def to_text(content: Any) -> str:
    """Return the JSON text of a mirror, written by orjson where Python's encoder would write the same."""
    try:
        return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()
    except TypeError:  # integers of more than 64 bits
        return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def text_of(programs: Iterable[Program]) -> str:
    """Return the text of a file of programs, such as ``programs.json``."""
    return to_text({"programs": [program_document(program) for program in programs]})


def _current_text() -> str:
    return to_text({"programs": [listed_document(program) for program in rows.all()]})


programs = Mirror(settings.PROGRAMS_FILE, _current_text)
touch = programs.touch
write = programs.write
