"""``POST programs/{id}/reload``: what a program's ``reload`` says, by a signal or by a command."""

import shutil
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.processes import is_alive, is_root, shell, started, tree
from tests.stack import OTHER_USER, OWN_USER, Api, Stack, eventually, temporary_folder
from tests.test_real_programs import _POSTGRESQL, run_as

PORTS = {"start": 64_200, "end": 64_203}
HEARS = 'trap "echo heard" HUP; echo ready; while :; do sleep 0.05; done'


def running(api: Api, command: str = "sleep 1000", **fields: object) -> int:
    id = api.add(command, **fields)
    api.ok(f"programs/{id}/start", {"wait": True})
    return id


def sentence(id: int, why: str) -> str:
    return f"Program with ID {id} was not reloaded: its reload command {why}"


def test_reload_by_a_signal(api: Api) -> None:
    id = running(api, shell(HEARS), reload={"signal": "HUP"})
    eventually(lambda: api.logs(id) == "ready")
    pid = api.pid(id)
    assert api.ok(f"programs/{id}/reload") == {"success": True}
    eventually(lambda: api.logs(id) == "ready\nheard")
    assert api.pid(id) == pid


def test_command_runs_as_the_program_would(api: Api) -> None:
    user = OTHER_USER if is_root() else OWN_USER
    command = shell("id -un; pwd; echo $MINE $HOME $SUPERVISOR_GROUP_NAME $MAINPID")
    id = running(
        api, user=user, directory="/usr", environment={"MINE": "x", "HOME": "/h"}, reload={"command": command}
    )
    api.ok(f"programs/{id}/reload")
    said = api.logs(id, type="stderr").splitlines()
    assert said == [user, "/usr", f"x /h program-{id} {api.pid(id)}"]


def test_answer_comes_when_the_command_has_ended(api: Api, tmp_path: Path) -> None:
    done = tmp_path / "done"
    id = running(api, reload={"command": shell('sleep 1; touch "$1"', str(done))})
    api.ok(f"programs/{id}/reload")
    assert done.exists()


def test_program_goes_on_while_and_after_it_is_reloaded(api: Api) -> None:
    id = running(api, reload={"command": "sleep 1"})
    pid = api.pid(id)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(api.ok, f"programs/{id}/reload")
        assert api.word(id) == "running"
        answer.result()
    assert api.pid(id) == pid
    assert len(api.get(f"programs/{id}/events").json()["events"]) == 2  # starting, running


FAILS = {
    "code": ("sh -c 'exit 3'", "ended with exit code 3"),
    "signal": ("sh -c 'kill -9 $$'", "was ended by SIGKILL"),
    "missing": ("/nowhere/at-all", "can't be run: command not found: /nowhere/at-all"),
    "folder": ("/usr/", "can't be run: command is a folder: /usr/"),
}


@pytest.mark.parametrize(("command", "why"), FAILS.values(), ids=FAILS)
def test_command_that_fails_is_reported(api: Api, command: str, why: str) -> None:
    id = running(api, reload={"command": command})
    assert api.refused(f"programs/{id}/reload") == sentence(id, why)
    assert api.word(id) == "running"
    api.ok(f"programs/edit/{id}", {"reload": {"command": "true"}})
    api.ok(f"programs/{id}/reload")


def test_command_that_cannot_be_executed_is_reported(api: Api, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/nowhere/interpreter\n")
    script.chmod(0o755)
    id = running(api, reload={"command": str(script)})
    assert "its interpreter '/nowhere/interpreter' does not exist" in api.refused(f"programs/{id}/reload")


def test_command_and_what_it_leaves_belong_to_the_program(api: Api, stack: Stack) -> None:
    id = running(api, reload={"command": shell("setsid sleep 1234 & exit 0")})
    api.ok(f"programs/{id}/reload")
    left = [each for each in tree(stack, id) if "1234" in each.cmdline()]
    assert len(left) == 1
    assert "unclaimed_processes" not in api.get("status").json()
    api.ok(f"programs/{id}/stop")
    assert not is_alive(left[0])


def test_output_in_the_background_does_not_hold_the_reload_up(api: Api) -> None:
    id = running(api, reload={"command": shell("echo now; sleep 1000 & exit 0")})
    for _ in range(3):
        api.ok(f"programs/{id}/reload")
    assert api.logs(id, type="stderr") == "now\nnow\nnow"


def test_stop_ends_the_command_and_its_reload_fails(api: Api, stack: Stack) -> None:
    command = shell("setsid sleep 1234 & sleep 20")
    id = running(api, reload={"command": command}, stop_grace_seconds=60)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(stack.client(stack.token).refused, f"programs/{id}/reload")
        eventually(lambda: any("20" in each.cmdline() for each in tree(stack, id)))
        begun = time.monotonic()
        api.ok(f"programs/{id}/stop")
        assert time.monotonic() - begun < 5
        assert answer.result() == sentence(id, "was ended by SIGTERM")
    assert tree(stack, id) == []


def test_change_from_a_command_to_a_signal_waits_for_the_command(api: Api, stack: Stack) -> None:
    id = running(api, shell(HEARS), reload={"command": shell("sleep 2; echo done")})
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(stack.client(stack.token).ok, f"programs/{id}/reload")
        eventually(lambda: any(each.cmdline()[:2] == ["sleep", "2"] for each in tree(stack, id)))
        api.ok(f"programs/edit/{id}", {"reload": {"signal": "HUP"}})
        api.ok(f"programs/{id}/reload")
        assert api.logs(id) == "ready"
        answer.result()
    eventually(lambda: api.logs(id) == "ready\nheard")
    assert api.logs(id, type="stderr") == "done"


def test_requests_meanwhile_are_answered_by_one_more_run(api: Api, stack: Stack, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    id = running(api, reload={"command": shell('echo run >> "$1"; sleep 1', str(runs))})
    with ThreadPoolExecutor(5) as pool:
        clients = [stack.client(stack.token) for _ in range(5)]
        first = pool.submit(clients[0].ok, f"programs/{id}/reload")
        eventually(runs.exists)
        others = [pool.submit(client.ok, f"programs/{id}/reload") for client in clients[1:]]
        for answer in (first, *others):
            answer.result()
    assert runs.read_text() == "run\nrun\n"


def test_command_that_takes_too_long_is_killed_with_its_children(api: Api, stack: Stack) -> None:
    id = running(api, reload={"command": shell("trap '' TERM; sleep 1000 & wait; sleep 1000")})
    before = tree(stack, id)
    begun = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(stack.client(stack.token).refused, f"programs/{id}/reload")
        assert api.word(id) == "running"  # supervisord answers meanwhile
        assert answer.result() == sentence(id, "took longer than 30 seconds")
    assert 30 <= time.monotonic() - begun < 35
    eventually(lambda: tree(stack, id) == before)


def test_reload_that_is_not_configured_or_can_not_be(api: Api) -> None:
    plain, stopped, disabled = (
        running(api),
        api.add(reload={"signal": "HUP"}),
        api.add(reload={"command": "true"}, enabled=False),
    )
    assert api.refused(f"programs/{plain}/reload") == f"Program with ID {plain} has no reload"
    assert api.refused(f"programs/{stopped}/reload") == f"Program with ID {stopped} is not running"
    assert api.refused(f"programs/{disabled}/reload") == f"Program with ID {disabled} is disabled"
    assert api.refused(f"programs/{plain}/reload", {"signal": "HUP"}) == "Unknown field 'signal'"


def test_instances_are_reloaded_on_their_own(api: Api) -> None:
    id = api.add("sleep 1000 {port}", port_range=PORTS, reload={"command": "echo reloads {port}"})
    route = f"programs/{id}/reload"
    assert api.refused(route, {"all": True}) == f"No instance of program with ID {id} is running"
    for port in (64_200, 64_203):
        started(api, id, port)
    said = 'Port parameter or "all: true" required to reload port-range program instances'
    assert api.refused(route) == said
    name = api.get(f"programs/{id}").json()["program"]["name"]
    assert api.refused(route, {"port": 64_201}) == f"Instance {name}_64201 is not running"
    api.ok(route, {"port": 64_203})
    api.ok(route, {"all": True})
    logs = {port: api.logs(id, port=port, type="stderr") for port in (64_200, 64_203)}
    assert logs == {64_200: "reloads 64200", 64_203: "reloads 64203\nreloads 64203"}
    api.ok(f"programs/edit/{id}", {"reload": {"command": "sh -c 'test {port} != 64203'"}})
    said = f"Instance {name}_64203 was not reloaded: its reload command ended with exit code 1"
    assert api.refused(route, {"all": True}) == said


def test_many_instances_are_reloaded_a_few_at_each_turn(api: Api) -> None:
    ports = {"start": 64_210, "end": 64_269}
    id = api.add(shell("exec sleep 1000"), port_range=ports, reload={"command": "echo reloaded"})
    api.ok(f"programs/{id}/start", {"all": True, "wait": True, "timeout": 120})
    api.ok(f"programs/{id}/reload", {"all": True})
    for port in range(64_210, 64_270):
        assert api.logs(id, port=port, type="stderr") == "reloaded"


def test_command_without_logs_is_not_held_up(api: Api) -> None:
    id = running(api, logs_enabled=False, reload={"command": "sh -c 'head -c 1000000 /dev/zero'"})
    api.ok(f"programs/{id}/reload")


def test_command_of_a_program_in_a_terminal(api: Api) -> None:
    id = running(
        api,
        "sleep 1000",
        terminal_id=24_200,
        terminal_shell="sh",
        reload={"command": "sh -c 'tty; echo done'"},
    )
    api.ok(f"programs/{id}/reload")
    assert api.logs(id).splitlines()[-2:] == ["not a tty", "done"]


def test_log_of_supervisord_says_who_asked(api: Api, stack: Stack) -> None:
    id = running(api, reload={"command": "false secret-word"})
    api.refused(f"programs/{id}/reload")
    eventually(lambda: f"could not be reloaded: 'program-{id}'" in stack.output.read_text())
    assert f"reload of 'program-{id}', requested by api:admin" in stack.output.read_text()
    assert "secret-word" not in stack.output.read_text()


@pytest.mark.skipif(not _POSTGRESQL, reason="PostgreSQL is not installed")
@pytest.mark.parametrize("way", ["signal", "command"])
def test_postgresql_reads_its_configuration_again(api: Api, way: str) -> None:
    assert _POSTGRESQL
    user = "postgres" if is_root() else OWN_USER
    with temporary_folder() as folder:
        data = folder / "data"
        if is_root():
            shutil.chown(folder, user)
        run_as(user, str(_POSTGRESQL / "initdb"), "-D", str(data), "-A", "trust", "--no-sync")
        reload = (
            {"signal": "HUP"} if way == "signal" else {"command": f"{_POSTGRESQL}/pg_ctl reload -D {data}"}
        )
        command = f"{_POSTGRESQL}/postgres -D {data} -k {folder} -c listen_addresses= -c fsync=off"
        id = api.add(command, user=user, directory="/", reload=reload, stop_grace_seconds=60)
        pid = started(api, id)
        eventually((folder / ".s.PGSQL.5432").exists, 30)
        with (data / "postgresql.conf").open("a") as file:
            file.write("work_mem = '7MB'\n")
        api.ok(f"programs/{id}/reload")
        eventually(lambda: 'parameter "work_mem" changed to "7MB"' in api.logs(id, type="stderr"), 30)
        assert api.pid(id) == pid


@pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed")
def test_nginx_reloads_and_reports_a_broken_configuration(api: Api) -> None:
    with temporary_folder() as folder:
        file = folder / "nginx.conf"

        def configure(answer: str) -> None:
            temporary = "".join(
                f"{name}_temp_path {folder}/{name};"
                for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            )
            file.write_text(
                f"daemon off; pid {folder}/nginx.pid; error_log stderr; events {{}} http {{ access_log off; "
                f"{temporary} server {{ listen unix:{folder}/nginx.sock; return 200 {answer}; }} }}"
            )

        def ask() -> bytes:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(10)
                client.connect(str(folder / "nginx.sock"))
                client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                return client.recv(65536).rpartition(b"\r\n")[2]

        configure("before")
        id = api.add(f"nginx -c {file}", stop_signal="QUIT", reload={"command": f"nginx -c {file} -s reload"})
        api.ok(f"programs/{id}/start", {"wait": True})
        pid = api.pid(id)
        eventually((folder / "nginx.sock").exists, 30)
        eventually((folder / "nginx.pid").exists, 30)
        assert ask() == b"before"
        configure("after")
        api.ok(f"programs/{id}/reload")
        eventually(lambda: ask() == b"after")
        configure("{broken")
        assert api.refused(f"programs/{id}/reload") == sentence(id, "ended with exit code 1")
        assert "emerg" in api.logs(id, type="stderr")
        assert ask()
        assert psutil.pid_exists(pid)
