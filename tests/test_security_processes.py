"""What programs and other users of the host can't do to the stack and to each other."""

import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.processes import is_root, shell, started
from tests.stack import OTHER_USER, PROJECT, Api, Stack, eventually

needs_root = pytest.mark.skipif(not is_root(), reason="it takes root to have several users")
USER = pwd.getpwnam(OTHER_USER)


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that all users may write."""
    folder = Path(tempfile.mkdtemp(prefix="daemon-test-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


# Its children carry the marks of another program, in a session of their own, and lose their parent.
FORGE = "(SUPERVISOR_GROUP_NAME=$1 SUPERVISOR_PROCESS_NAME=$1 setsid sleep $2 &); exec sleep 1000"


@needs_root
@pytest.mark.parametrize("user", ["daemon", "root"])
def test_forged_marks_of_another_users_program_are_worth_nothing(api: Api, stack: Stack, user: str) -> None:
    victim = api.add("sleep 1000", user=user, directory="/")
    victims = started(api, victim)
    seconds = str(100_000 + victim)
    forger = api.add(shell(FORGE, f"program-{victim}", seconds), user=USER.pw_name, directory="/")
    api.ok(f"programs/{forger}/start", {"wait": True})
    orphan = eventually(lambda: orphan_of(stack, seconds), what="the orphan is supervisord's")
    processes = api.status(victim)["stats"]["processes"]
    assert [process["pid"] for process in processes] == [victims]
    api.ok(f"programs/{victim}/stop")
    assert orphan.is_running(), "it was not the victim's to end"
    api.ok(f"programs/remove/{victim}")
    orphan.kill()


def orphan_of(stack: Stack, seconds: str) -> psutil.Process | None:
    for process in psutil.Process(stack.supervisord_pid).children():
        if process.cmdline() == ["sleep", seconds]:
            return process
    return None


@needs_root
@pytest.mark.parametrize("name", ["supervisor.sock", "changes.sock"])
def test_sockets_of_the_stack_are_for_its_user(api: Api, stack: Stack, name: str) -> None:
    path = stack.folder / name
    with socket.socket(socket.AF_UNIX) as own:
        own.connect(str(path))
    knock = shell('test -w "$1" && echo open; ls "$1"', str(path))
    fields = {"command": knock, "user": USER.pw_name, "directory": "/", "wait": "exit"}
    answer = api.ok("quick-start", fields)
    assert answer["stdout"] == ""
    assert "Permission denied" in answer["stderr"]


@needs_root
def test_program_can_not_signal_or_look_into_the_stack(api: Api, stack: Stack) -> None:
    pid = stack.supervisord_pid
    look = f"kill -CONT {pid}; cat /proc/{pid}/environ; ls /proc/{pid}/fd; ls /proc/self/fd"
    answer = api.ok(
        "quick-start", {"command": shell(look), "user": USER.pw_name, "directory": "/", "wait": "exit"}
    )
    # Not permitted, permission denied; nothing is there at all where /proc is mounted with hidepid.
    assert len(re.findall(r"ermi|No such file", answer["stderr"])) == 3
    assert answer["stdout"].split() == ["0", "1", "2", "3"]  # the last is that of ls


@needs_root
def test_state_folder_of_another_user_is_refused(shared: Path) -> None:
    folder = shared / "state"
    folder.mkdir()
    os.chown(folder, USER.pw_uid, USER.pw_gid)
    refused = Stack(folder).manage("run_stack")
    assert refused.returncode == 1
    assert refused.stderr.strip() == (
        f"CommandError: The state folder can't be used: {folder} belongs to another user, who could change "
        "all of it"
    )
    assert list(folder.iterdir()) == []


@needs_root
def test_export_follows_no_link_that_waits_for_it(stack: Stack, shared: Path, tmp_path: Path) -> None:
    """The name of what is written first can be guessed: all that a process can be called is planted."""
    target = tmp_path / "target"
    target.write_text("kept")
    plant = (
        "import os, sys\n"
        f"for pid in range(os.getpid(), os.getpid() + 50): os.symlink({str(target)!r}, "
        f"{str(shared)!r} + f'/.out.json.{{pid}}.tmp')\n"
        "os.execv(sys.executable, [sys.executable, 'manage.py', 'export_programs', "
        f"{str(shared / 'out.json')!r}])"
    )
    done = subprocess.run(
        [sys.executable, "-c", plant], cwd=PROJECT, env=stack.env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert target.read_text() == "kept"
    assert (shared / "out.json").read_text().startswith('{\n  "programs"')
    assert (shared / "out.json").stat().st_mode & 0o777 == 0o600


def test_names_of_programs_lead_nowhere_but_into_the_folder_of_logs(api: Api, stack: Stack) -> None:
    logs = stack.folder / "logs"
    for name in (
        "..",
        ".",
        "../../etc/cron.d/x",
        "/etc/cron.d/x",
        "~root",
        "a/../../b",
        "\u2025/x",
        ".hidden",
    ):
        id = api.add("echo here", name=name)
        path = Path(api.get(f"programs/{id}").json()["program"]["stdout_logfile"])
        assert path == Path(os.path.normpath(path))
        assert path.parent.parent == logs, name
        api.ok(f"programs/{id}/start", {"wait": True})
        api.until(id, "exited")
        assert path.read_text().endswith("here\n")  # another test may have used the name before


@pytest.mark.parametrize(
    "body",
    [
        b'{"priority": ' + b"9" * 100_000 + b"}",
        b'{"priority": 1e400}',
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b'{"environment": {' + b",".join(b'"K%d": "v"' % number for number in range(50_000)) + b"}}",
        b'{"name": "' + b"\\ud800" * 1000 + b'"}',
        b'{"__proto__": 1, "constructor": {}}',
    ],
)
def test_json_that_is_made_to_hurt_is_a_400_at_once(api: Api, body: bytes) -> None:
    answer = api.post("programs/add", data=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["success"] is False
    assert answer.elapsed.total_seconds() < 10


@pytest.mark.parametrize(
    ("head", "code"),
    [
        ("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: xchunked\r\n", 501),
        ("Content-Length: 2\r\nContent-Length: 5\r\n", 400),
        ("Content-Length: +2\r\n", 400),
        ("Content-Length: -1\r\n", 400),
        ("Transfer-Encoding : chunked\r\n", 400),
        ("X: a\r\n b\r\nContent-Length: 2\r\n", 400),
        ("Host: evil.example\r\n", 400),
    ],
)
def test_request_that_can_be_read_in_two_ways_is_refused(stack: Stack, head: str, code: int) -> None:
    """And the connection is closed: what follows can't be taken for a request of its own."""
    smuggled = "GET /api/v1/daemon/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    request = f"POST /api/v1/daemon/programs/add HTTP/1.1\r\nHost: localhost\r\n{head}\r\n0\r\n\r\n{smuggled}"
    with socket.create_connection(("127.0.0.1", stack.port), 20) as line:
        line.sendall(request.encode())
        answer = b""
        while chunk := line.recv(65536):
            answer += chunk
    assert answer.startswith(f"HTTP/1.1 {code} ".encode())
    assert answer.count(b"HTTP/1.1 ") == 1
    words = {400: ["malformed", "host_not_allowed"], 501: ["not_implemented"]}[code]
    assert any(b'"code": "%s"}' % word.encode() in answer for word in words)
