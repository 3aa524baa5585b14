"""A program without privilege leaves thousands of processes behind: others notice nothing, and it can end."""

import pwd
import shlex
import threading
import time
from collections import defaultdict
from collections.abc import Callable

import psutil
import pytest
import requests

from tests.drills import ROUNDS
from tests.processes import is_root
from tests.stack import Api, Stack

ORPHANS = 8000 if ROUNDS > 1 else 2000
_SLOWEST_SECONDS = 1.0

# Each orphan has a session of its own, ignores SIGTERM, and sleeps.
_STORM = f"""
use POSIX; $SIG{{TERM}} = 'IGNORE'; $| = 1;
for (1..{ORPHANS}) {{
    my $child = fork;
    if (!$child) {{ if (!fork) {{ POSIX::setsid(); sleep 1000 while 1 }} exit }}
    waitpid $child, 0
}}
print qq(complete\\n); sleep 1000 while 1
"""


class Client:
    """Another client, which works all the time: the slowest answers, and those that were no success."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.slowest: dict[str, float] = defaultdict(float)
        self.failures: list[str] = []
        self.ids = [api.add("sleep 1000") for _ in range(3)]

    def work_until(self, done: Callable[[], bool], timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not done():
            assert time.monotonic() < deadline
            for id in self.ids:
                self._time("start", self.api.post, f"programs/{id}/start")
                self._time("statuses", self.api.get, "status")
                self._time("list", self.api.get, "programs?include_status=true")
                self._time("status", self.api.get, f"status/{id}")
                self._time("stop", self.api.post, f"programs/{id}/stop")

    def _time(self, name: str, call: Callable[[str], requests.Response], route: str) -> None:
        begun = time.monotonic()
        answer = call(route)
        self.slowest[name] = max(self.slowest[name], time.monotonic() - begun)
        if answer.status_code != 200:
            self.failures.append(answer.text)


@pytest.mark.skipif(not is_root(), reason="only root may run programs as another user")
def test_thousands_of_orphans_of_one_program_delay_no_other(own_stack: Stack) -> None:
    hostile = next(each.pw_name for each in pwd.getpwall() if each.pw_name in ("www-data", "nobody"))
    api = own_stack.start().api
    client = Client(own_stack.api)
    command = shlex.join(["perl", "-e", " ".join(_STORM.split())])
    id = api.add(command, user=hostile, directory="/", autorestart="false", stop_grace_seconds=3)
    api.ok(f"programs/{id}/start")
    client.work_until(lambda: "complete" in api.logs(id), 240)
    assert len(processes_of(hostile)) > ORPHANS
    end = time.monotonic() + 3
    client.work_until(lambda: time.monotonic() > end, 60)
    stopped: list[int] = []
    other = own_stack.api
    stop = threading.Thread(target=lambda: stopped.append(other.post(f"programs/{id}/stop").status_code))
    stop.start()
    client.work_until(lambda: bool(stopped), 60)
    stop.join()
    print({name: round(seconds, 3) for name, seconds in client.slowest.items()})
    assert stopped == [200]
    assert processes_of(hostile) == []
    assert client.failures == []
    assert max(client.slowest.values()) < _SLOWEST_SECONDS, client.slowest


def processes_of(user: str) -> list[psutil.Process]:
    uid = pwd.getpwnam(user).pw_uid
    found = []
    for process in psutil.process_iter():
        try:
            if process.uids().real != uid or process.name() != "perl":  # other tests use these users too
                continue
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found
