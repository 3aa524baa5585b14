"""End the stacks that a process has left behind, however it has ended.

This is a process of its own, since a killed process can't clean up. The watched process reports its folders
as it creates and removes them; when it has ended, the reaper stops the stacks of the remaining folders and
removes those. The two share nothing: no environment, no session, no output, no module.
"""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

# The environment markers of stacks and of all processes that they start. A stack's own DAEMON_STATE_DIR may
# be spelled in another way than its parts have it, or be missing: what tests start has a marker of its own.
MARKER = "TEST_STACK"
_OF_WHAT_IT_STARTS = "SUPERVISOR_SERVER_URL=unix://"
_OF_A_STACK = f"{MARKER}=", "DAEMON_STATE_DIR=", _OF_WHAT_IT_STARTS
# An orderly end may take as long as the longest grace period; no test waits for it.
_PATIENCE_SECONDS = 5.0
# A process has no marker between fork and exec, which takes a while on a busy machine.
_QUIET_SECONDS = 0.5

Identity = tuple[int, str]  # the pid, and when it was started


class Reaper:
    """The side of the watched process."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._watches: int | None = None

    def remember(self, folder: Path) -> None:
        """Call before the folder is made."""
        self._tell("+", folder)

    def watch(self, folder: Path) -> None:
        """End what runs there, and leave the folder to others."""
        self._tell("=", folder)

    def forget(self, folder: Path) -> None:
        self._tell("-", folder)

    def _tell(self, what: str, folder: Path) -> None:
        if self._watches != os.getpid():  # the first time, or after a fork
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(os.fsencode(f"{what}{folder}\n"))
        self._process.stdin.flush()

    def _start(self) -> None:
        self._watches = os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, "-ISE", __file__, str(self._watches)],
            cwd="/",
            env={},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


reaper = Reaper()


def main(watched: int) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    folders = _known_at_the_end_of(watched)
    _end_all(set(folders))
    for folder in [folder for folder, kind in folders.items() if kind == b"+"]:
        _unmount(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _known_at_the_end_of(watched: int) -> dict[Path, bytes]:
    """Read the reports until the watched process has ended; return its remaining folders and their kinds."""
    with contextlib.ExitStack() as open_files:
        waits_for: list[int] = [sys.stdin.fileno()]
        with contextlib.suppress(ProcessLookupError):  # it may be over by now
            life = os.pidfd_open(watched)
            open_files.callback(os.close, life)
            waits_for.append(life)
        received = b""
        while True:
            ready = select.select(waits_for, [], [])[0]
            if sys.stdin.fileno() in ready:
                read = os.read(sys.stdin.fileno(), 65536)
                received += read
                if read:
                    continue
            break  # all has been read; a child of the other side may keep the pipe open
    folders: dict[Path, bytes] = {}
    for line in received.split(b"\n")[:-1]:
        kind, folder = line[:1], Path(os.fsdecode(line[1:]))
        if kind == b"-":
            folders.pop(folder, None)
        else:
            folders[folder] = kind
    return folders


def _end_all(folders: set[Path]) -> None:
    """Ask supervisord for an orderly end, then kill what is left, detached or not."""
    marks = [os.fsencode(f"{mark}{folder}/") for folder in folders for mark in _OF_A_STACK]
    family: set[Identity] = set()
    deadline = time.monotonic() + _PATIENCE_SECONDS
    asked: set[Identity] = set()
    while stacks := [each for each in _marked(marks) if _is_stack(each[0], folders)]:
        family |= _below(set(stacks) | family)
        for each in set(stacks) - asked:
            _signal(each, signal.SIGTERM)
        asked |= set(stacks)
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < _QUIET_SECONDS:
        found = set(_marked(marks)) | {each for each in _below(family) if _started(each[0]) == each[1]}
        for each in found:
            _signal(each, signal.SIGKILL)
        family |= found
        if found:
            quiet_since = time.monotonic()
        time.sleep(0.02)


def _is_stack(pid: int, folders: set[Path]) -> bool:
    """Return whether it is supervisord, or will become it: only what supervisord starts has its marker."""
    return not any(
        entry.startswith(os.fsencode(f"{_OF_WHAT_IT_STARTS}{folder}/"))
        for entry in _environment(pid)
        for folder in folders
    )


def _marked(marks: list[bytes]) -> Iterator[Identity]:
    for pid in _pids():
        for entry in _environment(pid):
            if any((entry + b"/").startswith(mark) for mark in marks) and (started := _started(pid)):
                yield pid, started
                break


def _below(family: set[Identity]) -> set[Identity]:
    """Return these processes and their descendants, without the reapers of workers, which have work to do."""
    parents = {pid: fields[1] for pid in _pids() if (fields := _fields(pid)) and not _is_reaper(pid)}
    found = {pid for pid, _ in family}
    while more := {pid for pid, parent in parents.items() if int(parent) in found} - found:
        found |= more
    new = {(pid, started) for pid in found if (started := _started(pid))}
    return family | {each for each in new if each[0] not in {pid for pid, _ in family}}


def _is_reaper(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return os.fsencode(__file__) in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return False


def _pids() -> Iterator[int]:
    own = os.getpid()
    return (pid for name in os.listdir("/proc") if name.isdigit() and (pid := int(name)) != own)


def _environment(pid: int) -> list[bytes]:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return []


def _fields(pid: int) -> list[str]:
    """Return the fields from the state on; none if the process has ended."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return [] if fields[0] in "ZX" else fields
    return []


def _started(pid: int) -> str | None:
    fields = _fields(pid)
    return fields[19] if fields else None


def _signal(each: Identity, number: int) -> None:
    with contextlib.suppress(OSError):
        if _started(each[0]) == each[1]:
            os.kill(each[0], number)


def _unmount(folder: Path) -> None:
    """Unmount the small disk of a drill in this folder."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        point = line.split()[1]
        if point.startswith(f"{folder}/"):
            subprocess.run(["umount", "-l", point], check=False)


if __name__ == "__main__":
    main(int(sys.argv[1]))
