"""A test that ``test_reaper`` runs in a pytest of its own, which it then kills. Not collected otherwise."""

import os
import time
from pathlib import Path

from tests.processes import python, started
from tests.stack import OWN_USER, Stack

# It detaches in every way and drops its environment markers, so that only its parentage identifies it.
DETACHED = (
    "import os, time\nif os.fork(): time.sleep(1000)\n"
    "os.setsid()\nif os.fork(): os._exit(0)\n"
    "os.execve('/bin/sh', ['sh', '-c', 'sleep 1000; :'], {'PATH': os.environ['PATH']})"
)


def test_that_is_killed(own_stack: Stack) -> None:
    own_stack.is_set_up = False  # to make a copy of a first start takes longer than to have one
    # Another spelling than the parts of the stack have.
    own_stack.environment["DAEMON_STATE_DIR"] = f"/.{own_stack.folder}"
    api = own_stack.start().api
    started(api, api.add(python(DETACHED)))
    started(api, api.add("sh -c 'trap \"\" TERM; while :; do sleep 1; done'", stop_grace_seconds=300))
    api.ok("quick-start", {"command": "sleep 1000", "user": OWN_USER})
    Path(os.environ["REPORT"]).write_text(str(own_stack.folder))
    time.sleep(600)
