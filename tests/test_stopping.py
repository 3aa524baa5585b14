"""What asks a program to end: ``stop_signal`` and ``stop_scope``. The default order: test_stop_order."""

import json
import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from daemon_programs.models import Program
from daemon_programs.supervisor.plugin.programs import configuration
from daemon_programs.supervisor.processes.signals import RELOAD_SIGNALS, STOP_SIGNALS
from daemon_programs.supervisor.spec import Specification
from quick_start.models import EphemeralProgram
from tests.processes import python, shell, started, tree
from tests.stack import OWN_USER, Api, Stack, eventually, temporary_folder
from tests.temporary_programs import Quick

SIGNALS = ", ".join(STOP_SIGNALS)
SHAPE = 'Field \'reload\' must be {"signal": "HUP"}, {"command": "…"} or null'
IN_RELOAD = f"Field 'reload' must have a signal of: {', '.join(RELOAD_SIGNALS)}"
REFUSED: list[tuple[dict[str, Any], str]] = [
    *[({"stop_signal": value}, f"Field 'stop_signal' must be one of: {SIGNALS}")
      for value in ("SIGTERM", "term", "STOP", "", None, 15, ["TERM"], True)],
    *[({"stop_scope": value}, "Field 'stop_scope' must be one of: main, tree")
      for value in ("all", "Main", "", None, 1, {})],
    ({"stop_signal": "INT", "terminal_id": 23_001},
     "Field 'stop_signal' can't be combined with terminal_id"),
    ({"reload": {"signal": "HUP"}, "terminal_id": 23_001},
     "Field 'reload' can't have a signal together with terminal_id"),
    *[({"reload": value}, SHAPE)
      for value in ("HUP", 1, True, [], {}, "", ["HUP"], {"sig": "HUP"}, {"signal": "HUP", "command": "x"})],
    *[({"reload": {"signal": value}}, IN_RELOAD) for value in ("KILL", "STOP", "SIGHUP", "hup", 1, None, [])],
    *[({"reload": {"command": value}}, "Field 'reload' must have a command that is a string")
      for value in (None, 5, ["nginx"], {})],
    *[({"reload": {"command": value}}, "Field 'reload' must have a command that is not empty")
      for value in ("", "  ", "''", "'' x")],
    ({"reload": {"command": "\ud800"}}, "Field 'reload' must have a command that is valid Unicode text"),
    ({"reload": {"command": "a\nb"}}, "Field 'reload' must not contain line breaks or NUL characters"),
    ({"reload": {"command": "a\0"}}, "Field 'reload' must not contain line breaks or NUL characters"),
    ({"reload": {"command": "'"}}, "Field 'reload' can't be split into arguments: no closing quotation"),
    ({"reload": {"command": "x " + "y" * 128 * 1024}},
     "Field 'reload' has an argument that is longer than 128 KiB"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "sentence"), REFUSED, ids=[json.dumps(body)[:60] for body, _ in REFUSED])
def test_values_are_refused_with_the_field(api: Api, body: dict[str, Any], sentence: str) -> None:
    whole = {"name": "refused", "command": "sleep 1000", "user": OWN_USER, **body}
    assert api.refused("programs/add", whole) == sentence


@pytest.mark.parametrize(
    "values",
    [{"stop_signal": "STOP"}, {"stop_scope": "all"}, {"reload": []}, {"reload": {"signal": "KILL"}},
     {"reload": {}}, {"stop_signal": "INT", "terminal_id": 5}],
    ids=str,
)  # fmt: skip
@pytest.mark.django_db
def test_model_refuses_by_itself(values: dict[str, Any]) -> None:
    """The admin's form and an import have its rules only."""
    for model in (Program, EphemeralProgram) if "reload" not in values else (Program,):
        with pytest.raises(ValidationError) as problem:
            model(name="p", command="true", user=OWN_USER, environment={}, **values).full_clean()
        assert next(iter(values)) in problem.value.message_dict


def test_documents_have_the_fields_only_if_they_are_set(api: Api) -> None:
    id = api.add()
    names = {"stop_signal", "stop_scope", "reload"}
    assert not names & api.get(f"programs/{id}").json()["program"].keys()
    values = {"stop_signal": "INT", "stop_scope": "tree", "reload": {"command": "true {port}"}}
    assert values.items() <= api.ok(f"programs/edit/{id}", values)["program"].items()
    back = {"stop_signal": "TERM", "stop_scope": "main", "reload": None}
    assert not names & api.ok(f"programs/edit/{id}", back)["program"].keys()


def test_export_and_import_keep_the_fields(api: Api, stack: Stack) -> None:
    values = {"stop_signal": "INT", "stop_scope": "tree", "reload": {"signal": "HUP"}}
    id = api.add(**values)
    documents = json.loads(stack.manage("export_programs").stdout)["programs"]
    document = next(each for each in documents if each["id"] == id)
    assert values.items() <= document.items()


def test_change_of_them_restarts_nothing_and_counts_for_the_next_stop(api: Api, tmp_path: Path) -> None:
    told = tmp_path / "told"
    id = api.add(shell("trap 'echo INT > \"$1\"; exit' INT; while :; do sleep 0.05; done", str(told)))
    pid = started(api, id)
    api.ok(f"programs/edit/{id}", {"stop_signal": "INT", "reload": {"signal": "HUP"}, "stop_scope": "tree"})
    assert api.pid(id) == pid
    api.ok(f"programs/edit/{id}", {"stop_scope": "main"})
    api.ok(f"programs/{id}/stop")
    assert told.read_text() == "INT\n"


# It ends on SIGINT only, as uWSGI and many interpreters do.
ENDS_ON_INT = "trap '' TERM HUP; trap 'echo interrupted; exit' INT; echo ready; while :; do sleep 0.05; done"


def test_program_that_ends_on_int_only_is_asked_so(api: Api, stack: Stack) -> None:
    id = api.add(shell(ENDS_ON_INT), stop_signal="INT", stop_grace_seconds=60)
    started(api, id)
    eventually(lambda: api.logs(id) == "ready")
    api.ok(f"programs/{id}/stop")
    assert api.logs(id) == "ready\ninterrupted"
    assert tree(stack, id) == []


def test_temporary_program_is_asked_so_too(quick: Quick) -> None:
    id = quick.run(shell(ENDS_ON_INT), stop_signal="INT", stop_grace_seconds=60)
    eventually(lambda: quick.logs(id) == "ready")
    quick.stop(id)
    assert quick.logs(id) == "ready\ninterrupted"


def test_stop_signal_kill_ends_the_process_and_the_rest_is_asked(
    api: Api, stack: Stack, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    child = "(trap 'echo child >> \"$1\"; exit' TERM; echo ready; while :; do sleep 0.05; done) & "
    id = api.add(
        shell(child + "trap '' TERM; while :; do sleep 0.05; done", str(told)),
        stop_signal="KILL",
        stop_grace_seconds=60,
    )
    started(api, id)
    eventually(lambda: api.logs(id) == "ready")
    api.ok(f"programs/{id}/stop")
    assert told.read_text() == "child\n"
    assert tree(stack, id) == []


# Each notes by which signal it is asked; the process itself goes on until its child has ended.
NOTES = """
import os, signal, sys, time
name, told = "main", sys.argv[1]
def note(signum, frame):
    with open(told, "a") as file:
        file.write(f"{name} {signal.Signals(signum).name}\\n")
    if name == "child":
        os._exit(0)
for each in (signal.SIGTERM, signal.SIGUSR1):
    signal.signal(each, note)
child = os.fork()
if not child:
    name = "child"
    print("ready", flush=True)
    while True:
        time.sleep(1)
os.waitpid(child, 0)
"""


def test_scope_tree_asks_all_at_once_with_the_signal(api: Api, stack: Stack, tmp_path: Path) -> None:
    told = tmp_path / "told"
    id = api.add(python(NOTES, str(told)), stop_signal="USR1", stop_scope="tree", stop_grace_seconds=60)
    started(api, id)
    eventually(lambda: api.logs(id) == "ready")
    api.ok(f"programs/{id}/stop")
    assert sorted(told.read_text().splitlines()) == ["child SIGUSR1", "main SIGUSR1"]
    assert tree(stack, id) == []


def test_scope_main_asks_the_rest_with_sigterm(api: Api, stack: Stack, tmp_path: Path) -> None:
    told = tmp_path / "told"
    id = api.add(python(NOTES, str(told)), stop_signal="USR1", stop_grace_seconds=4)
    started(api, id)
    eventually(lambda: api.logs(id) == "ready")
    api.ok(f"programs/{id}/stop")  # it does not end until its child has
    assert told.read_text().splitlines() == ["main SIGUSR1", "child SIGTERM"]
    assert tree(stack, id) == []


def test_file_of_an_older_version_is_read_with_defaults(tmp_path: Path) -> None:
    spec = Specification(group="program-1", name="old", argv=["true"], user=OWN_USER)
    content = json.loads(spec.render())
    for name in ("stop_signal", "stop_scope", "reload"):
        del content[name]
    file = tmp_path / "program-1.json"
    file.write_text(json.dumps(content))
    config = configuration.read(FakeContext(), file, lambda config: None)  # type: ignore[arg-type]
    assert config.spec == {each.name: getattr(spec, each.name) for each in fields(spec)}


@pytest.mark.parametrize(
    "wrong",
    [{"stop_signal": "STOP"}, {"stop_signal": 15}, {"stop_scope": "all"}, {"reload": 5}, {"reload": {}},
     {"reload": {"signal": "KILL"}}, {"reload": {"argv": []}}, {"reload": {"argv": [5]}},
     {"reload": {"argv": ["true"], "signal": "HUP"}}, {"reload": {"argv": ["true"], "x": 1}}],
    ids=str,
)  # fmt: skip
def test_file_with_wrong_values_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    content = json.loads(Specification(group="program-1", name="n", argv=["true"], user=OWN_USER).render())
    file = tmp_path / "program-1.json"
    file.write_text(json.dumps({**content, **wrong}))
    with pytest.raises((ValueError, TypeError)):
        configuration.read(FakeContext(), file, lambda config: None)  # type: ignore[arg-type]


class FakeContext:
    """What reading a file needs of the plugin's context."""

    options = None


@pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed")
def test_nginx_finishes_a_request_that_is_under_way(api: Api, stack: Stack) -> None:
    """By QUIT. By TERM it would end at once, and the client would get half of its answer."""
    with temporary_folder() as folder, socket.socket(socket.AF_UNIX) as upstream:
        upstream.bind(str(folder / "slow.sock"))
        upstream.listen()
        (folder / "slow.sock").chmod(0o666)
        temporary = "".join(
            f"{name}_temp_path {folder}/{name};"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"daemon off; pid {folder}/nginx.pid; error_log stderr; events {{}} http {{ access_log off; "
            f"{temporary} server {{ listen unix:{folder}/nginx.sock; "
            f"location / {{ proxy_pass http://unix:{folder}/slow.sock; }} }} }}"
        )
        id = api.add(
            f"nginx -c {folder}/nginx.conf", stop_signal="QUIT", stop_grace_seconds=60, autorestart="false"
        )
        api.ok(f"programs/{id}/start", {"wait": True})
        eventually((folder / "nginx.sock").exists, 30)
        with socket.socket(socket.AF_UNIX) as client, ThreadPoolExecutor(1) as pool:
            client.settimeout(30)
            eventually(lambda: client.connect_ex(str(folder / "nginx.sock")) == 0)
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            request, _ = upstream.accept()
            stopping = pool.submit(api.ok, f"programs/{id}/stop")
            other = stack.api
            eventually(lambda: other.word(id) == "stopping")
            assert request.recv(65536)
            request.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 8\r\n\r\nfinished")
            request.close()
            answer = b""
            while piece := client.recv(65536):
                answer += piece
            assert answer.endswith(b"finished")
            stopping.result()
        assert tree(stack, id) == []
