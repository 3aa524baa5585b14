"""What the system gives too little of is told in one sentence at the start, before secrets are printed."""

import resource
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from hoody_site.stack import shortages
from hoody_site.stack.problem import StackProblem
from tests.processes import LONG_RUNNING, can_mount, started
from tests.program_sets import failed
from tests.stack import PROJECT, Stack, eventually

is_unshared = pytest.mark.skipif(not can_mount(), reason="it takes the right to make mounts")


def refusal(stack: Stack, *command: str, limit: Callable[[], object] | None = None) -> str:
    """The one sentence of a start that is refused, before anything was made."""
    run = [*command, sys.executable, "manage.py", "run_stack"]
    ran = subprocess.run(
        run, cwd=PROJECT, env=stack.env, capture_output=True, text=True, timeout=60, preexec_fn=limit
    )
    assert ran.returncode == 1, ran.stdout
    assert ran.stdout == ""
    assert ran.stderr.count("\n") == 1, ran.stderr
    assert not (stack.folder / "db.sqlite3").exists()
    return ran.stderr.removeprefix("CommandError: ").strip()


def test_few_descriptors(own_stack: Stack) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))

    assert refusal(own_stack, limit=limit) == (
        "The limit of open files is 256, and the stack needs 512: raise it (ulimit -n)"
    )


def test_few_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root is not limited by ``ulimit -u``, nor is a container's limit ours to set: as Python tells it."""
    start = threading.Thread.start

    def limited(self: threading.Thread) -> None:
        if threading.active_count() >= 30:
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(threading.Thread, "start", limited)
    with pytest.raises(
        StackProblem, match=r"lets the stack have \d+ more processes and threads, and it needs 104"
    ):
        shortages.check()
    eventually(lambda: threading.active_count() < 30)


@is_unshared
def test_shared_memory_that_cannot_be_written(own_stack: Stack) -> None:
    script = 'mount -t tmpfs -o ro none /dev/shm && exec "$@"'
    assert refusal(own_stack, "unshare", "--mount", "sh", "-c", script, "sh") == (
        "The queue needs a writable /dev/shm (Read-only file system): mount a tmpfs there"
    )


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe"])
def test_secret_key_file_without_a_key(own_stack: Stack, content: bytes) -> None:
    own_stack.folder.mkdir(mode=0o700)
    (own_stack.folder / "secret-key").write_bytes(content)
    assert failed(own_stack, "run_stack") == (
        f"{own_stack.folder}/secret-key holds no key: restore it from a backup, or remove it, and the next "
        "start makes a new one, with which all users have to log in again"
    )
    assert not (own_stack.folder / "db.sqlite3").exists()


# The whole root is read-only, with all that is mounted below it but the state folder, /dev and /proc.
READ_ONLY_ROOT = """
set -e
mount --bind "$0" /mnt
for place in $(awk '{print $5}' /proc/self/mountinfo | grep -Ev '^/(mnt|dev|proc|sys)(/|$)'); do
    mount -o remount,ro,bind "$place"
done
exec "$@"
"""


@is_unshared
def test_read_only_root_without_tmp(own_stack: Stack) -> None:
    own_stack.folder.mkdir(mode=0o700)
    own_stack.make_database()
    with own_stack.output.open("ab") as output:
        own_stack.process = subprocess.Popen(
            [
                *("unshare", "--mount", "sh", "-c", READ_ONLY_ROOT, str(own_stack.folder)),
                *(sys.executable, "manage.py", "run_stack"),
            ],
            cwd=PROJECT,
            env={**own_stack.env, "DAEMON_STATE_DIR": "/mnt", "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
        )
    eventually(own_stack._is_up, 60)
    api = own_stack.api
    started(api, api.add(LONG_RUNNING))
    assert api.ok("quick-start", {"command": "echo hi", "user": "root", "wait": "exit"})["stdout"] == "hi"
    assert (own_stack.folder / "tmp").is_dir()
    assert own_stack.stop() == 0


def test_no_temporary_folder_is_made_where_the_system_has_one(stack: Stack) -> None:
    assert not (stack.folder / "tmp").exists()
