"""The child of supervisord that becomes a program."""

import os
from types import SimpleNamespace

from daemon_programs.supervisor.plugin.programs.launch import Child, exec_command


def test_child_whose_supervisord_was_killed_becomes_no_program() -> None:
    """The next supervisord may have looked for survivors before the child carried its mark."""
    config = SimpleNamespace(argv=["true"], user="root")
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        gone = os.getpid()  # not its parent
        exec_command(config, Child("program-1", {}, "/bin/true", writing, None), gone)
    os.close(writing)
    _, status = os.waitpid(pid, 0)
    with open(reading, "rb") as failure:
        assert failure.read() == b""
    assert os.waitstatus_to_exitcode(status) == 127
