"""Check at the start for what the system gives too little of, before anything is made or printed."""

import multiprocessing
import os
import resource
import tempfile
import threading
from pathlib import Path

from django.conf import settings

from hoody_site.stack.problem import StackProblem

# The lock of the state folder has a descriptor of about this number; connections and logs need more.
_MIN_OPEN_FILES = 512
# Besides the threads of the API: the processes of the stack, and their own threads.
_MORE_TASKS = 40


def check() -> None:
    """Raise StackProblem if the stack would start, and then not work."""
    _check_open_files()
    _check_tasks()
    _check_shared_memory()


def _check_open_files() -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _MIN_OPEN_FILES:
        raise StackProblem(
            f"The limit of open files is {soft}, and the stack needs {_MIN_OPEN_FILES}: raise it (ulimit -n)"
        )


def _check_tasks() -> None:
    """Start as many threads as the stack will have: limits of users and of containers count them all."""
    needed = settings.THREADS + _MORE_TASKS
    end = threading.Event()
    threads = [threading.Thread(target=end.wait, daemon=True) for _ in range(needed)]
    started = 0
    try:
        for started, thread in enumerate(threads):  # noqa: B007
            thread.start()
    except RuntimeError as problem:
        raise StackProblem(
            f"The system lets the stack have {started} more processes and threads, and it needs {needed}: "
            "raise the limit (ulimit -u, or that of the container), or lower DAEMON_THREADS"
        ) from problem
    finally:
        end.set()
    for thread in threads:
        thread.join()


def _check_shared_memory() -> None:
    """Make a lock as the queue does."""
    try:
        multiprocessing.Lock()
    except OSError as problem:
        raise StackProblem(
            f"The queue needs a writable /dev/shm ({problem.strerror}): mount a tmpfs there"
        ) from problem


def provide_temporary_folder() -> None:
    """Use a folder in the state folder for temporary files if the system has none (a read-only root)."""
    try:
        found = Path(tempfile.gettempdir())
    except FileNotFoundError:
        found = None
    if found is None or found == Path.cwd():  # the last resort of Python
        folder = settings.STATE_DIR / "tmp"
        folder.mkdir(mode=0o700, exist_ok=True)
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
