"""``terminal_id``, ``terminal_shell`` and ``terminal_interactive``: shells. (``tmux``: ``test_tmux.py``.)"""

import itertools
import os
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.contrib.auth.models import User
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from daemon_programs import terminals
from tests.children import PATIENT, arguments, is_root, python, shell, started, tree
from tests.stack import OWN_USER, Api, Stack, eventually

numbers = itertools.count(1)
ALL_SHELLS = [
    pytest.param(name, marks=pytest.mark.skipif(not shutil.which(name), reason=f"{name} is not installed"))
    for name in terminals.SHELLS
]
SHELLS = ALL_SHELLS[:-1]  # without tmux
ALL_SHELLS = [
    *SHELLS,
    pytest.param("tmux", marks=pytest.mark.skipif(not shutil.which("tmux"), reason="no tmux")),
]
of_each_shell = pytest.mark.parametrize("name", SHELLS)
of_each_shell_and_tmux = pytest.mark.parametrize("name", ALL_SHELLS)

# What each start-up file sets, and which of them each shell has to load.
START_UP = {
    ".profile": "export FROM_PROFILE=1",
    ".bashrc": "export FROM_BASHRC=1",
    ".zprofile": "export FROM_ZPROFILE=1",
    ".zshrc": "export FROM_ZSHRC=1",
    ".config/fish/config.fish": "set -gx FROM_FISH 1",
}
LOADED = {
    "bash": {"FROM_PROFILE", "FROM_BASHRC"},
    "zsh": {"FROM_ZPROFILE", "FROM_ZSHRC"},
    "fish": {"FROM_FISH"},
    "sh": {"FROM_PROFILE"},
}
# Everything that means something to a shell, to fish, or to tmux.
ARGUMENTS = [";", "a;", "a\\;", "a b", "", "'", '"', "$HOME", "$(id)", "`id`", "\\", "\\n", "-n", "--", "-", "*", "~",
             "#", "#{pane_id}", "%1", "!x", "{}", "{a,b}", "a=b", "&", "|", "<", ">", "^", "日本", "\t", "\x1b[1m\x7f"]  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> str:
    for name, line in START_UP.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{line}\n")
    return str(tmp_path)


def add(api: Api, name: str | None, command: str, **fields: Any) -> int:
    """A program in a terminal of its own number."""
    terminal = {"terminal_id": next(numbers), "terminal_shell": name}
    return api.add(command, **{"autorestart": "false", **terminal, **fields})


def run(api: Api, name: str | None, command: str, **fields: Any) -> int:
    """Run a program in a terminal until its command has said ``END``."""
    id = add(api, name, command, **fields)
    api.ok(f"programs/{id}/start")
    eventually(lambda: "END" in api.logs(id), 20, f"the end of {command} in {name}")
    return id


@of_each_shell
@pytest.mark.parametrize("interactive", [None, False, True])
def test_start_up_files_are_loaded_before_the_command(
    api: Api, home: str, name: str, interactive: bool | None
) -> None:
    code = "import os; print(*[key for key in os.environ if key.startswith('FROM_')], 'END')"
    id = run(api, name, python(code), environment={"HOME": home}, terminal_interactive=interactive)
    line = next(line for line in api.logs(id).splitlines() if line.endswith("END"))
    assert set(line.split()) == {*LOADED[name], "END"}


@of_each_shell_and_tmux
@pytest.mark.parametrize("interactive", [None, False, True])
def test_arguments_arrive_byte_for_byte(
    api: Api, tmp_path: Path, name: str, interactive: bool | None
) -> None:
    id = run(api, name, telling(tmp_path / "told", ARGUMENTS), terminal_interactive=interactive)
    assert (tmp_path / "told").read_bytes() == "\0".join(ARGUMENTS).encode()
    api.ok(f"programs/{id}/stop")


def telling(file: Path, texts: list[str]) -> str:
    """A command that writes its arguments to a file."""
    code = """import os, sys
open(sys.argv[1], "wb").write(b"\\0".join(map(os.fsencode, sys.argv[2:])))
print("END")"""
    return python(f"exec({code!r})", str(file), *texts)


texts = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=10)


@of_each_shell_and_tmux
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given_texts=st.lists(texts, max_size=5))
def test_any_arguments_arrive(api: Api, tmp_path: Path, name: str, given_texts: list[str]) -> None:
    id = run(api, name, telling(tmp_path / "told", given_texts))
    assert (tmp_path / "told").read_bytes() == "\0".join(given_texts).encode()
    api.ok(f"programs/remove/{id}")


@of_each_shell_and_tmux
def test_long_arguments_arrive(api: Api, tmp_path: Path, name: str) -> None:
    long = ["x" * 100_000, "y" * 100_000]
    run(api, name, telling(tmp_path / "told", long))
    assert (tmp_path / "told").read_bytes() == "\0".join(long).encode()


@of_each_shell_and_tmux
@pytest.mark.parametrize("interactive", [None, True])
def test_command_is_a_program_never_a_word_of_the_shell(
    api: Api, tmp_path: Path, name: str, interactive: bool | None
) -> None:
    """Most shells have an ``echo`` of their own that reads backslashes; start-up files may have others."""
    for file in (".profile", ".zshrc"):
        (tmp_path / file).write_text("echo() { printf function; }\n")
    environment = {"HOME": str(tmp_path)}
    id = run(api, name, "echo 'a\\nb' END", environment=environment, terminal_interactive=interactive)
    assert api.logs(id).splitlines()[0] == "a\\nb END"


@of_each_shell_and_tmux
def test_program_has_a_real_terminal(api: Api, name: str) -> None:
    code = "import os; open('/dev/tty'); print(*[os.ttyname(each) for each in (0, 1, 2)], 'END')"
    lines = api.logs(run(api, name, python(code))).splitlines()
    assert re.fullmatch(r"(/dev/pts/\d+) \1 \1 END", lines[0])


def test_without_a_terminal_there_is_none(api: Api) -> None:
    id = api.add("tty", autorestart="false")
    api.ok(f"programs/{id}/start", {"wait": False})
    eventually(lambda: api.word(id) == "exited")
    assert api.logs(id) == "not a tty"


@pytest.mark.skipif(not is_root(), reason="only root runs programs as others")
def test_terminal_belongs_to_the_program_s_user(api: Api) -> None:
    id = run(api, "sh", shell('stat -c "%U END" "$(tty)"; echo again > "$(tty)"'), user="nobody")
    eventually(lambda: api.logs(id) == "nobody END\nagain")


@of_each_shell
def test_standard_error_and_output_are_one_stream_without_carriage_returns(api: Api, name: str) -> None:
    id = run(api, name, shell("echo out; echo err >&2; echo END"))
    log = api.get(f"programs/{id}/logs").json()["log_file"]
    assert Path(log).read_bytes() == b"out\nerr\nEND\n"
    assert api.logs(id, type="stderr") == ""


@of_each_shell_and_tmux
@pytest.mark.parametrize("interactive", [None, False])
def test_exit_code_survives(api: Api, name: str, interactive: bool | None) -> None:
    id = run(api, name, shell("echo END; exit 7"), terminal_interactive=interactive)
    assert api.until(id, "exited")["last_run"]["exit_code"] == 7


@of_each_shell
def test_signal_that_ends_the_command_is_told(api: Api, name: str) -> None:
    id = run(api, name, shell("echo END; kill -9 $$"))
    assert api.until(id, "exited")["last_run"]["signal"] == "SIGKILL"


@of_each_shell
def test_interactive_true_keeps_the_shell_after_the_command(api: Api, stack: Stack, name: str) -> None:
    id = run(api, name, shell("echo END; exit 7"), terminal_interactive=True)
    pid = api.until(id, "running")["status"]["pid"]
    eventually(lambda: arguments(pid) == [name.encode(), b"-i"])
    assert terminal_of(pid).startswith("/dev/pts/")
    # An interactive shell doesn't heed SIGTERM; it is stopped all the same, and soon.
    api.ok(f"programs/{id}/stop")
    assert tree(stack, id) == []


def terminal_of(pid: int) -> str:
    return os.readlink(f"/proc/{pid}/fd/0")


@of_each_shell
@pytest.mark.parametrize("interactive", [None, False])
def test_otherwise_the_command_takes_the_place_of_the_shell(
    api: Api, name: str, interactive: bool | None
) -> None:
    id = add(api, name, PATIENT, terminal_interactive=interactive)
    pid = started(api, id)
    expected = [each.encode() for each in shlex.split(PATIENT)]
    eventually(lambda: arguments(pid) == expected)
    assert api.status(id)["stats"]["process_count"] == 1


@of_each_shell
@pytest.mark.parametrize("command", ["bash", "/bin/sh"])
def test_shell_stays_with_a_command_that_is_of_no_use_without_it(api: Api, name: str, command: str) -> None:
    id = add(api, name, command)
    pid = started(api, id)
    child = eventually(lambda: children(pid, command))
    child.kill()
    eventually(lambda: arguments(pid) == [name.encode(), b"-i"])


def children(pid: int, command: str) -> psutil.Process | None:
    """The process of the command, below the shell."""
    below = psutil.Process(pid).children()
    return next((each for each in below if arguments(each.pid) == [command.encode()]), None)


@of_each_shell
def test_interactive_false_takes_the_shell_away_even_then(api: Api, name: str) -> None:
    pid = started(api, add(api, name, "/bin/sh", terminal_interactive=False))
    eventually(lambda: arguments(pid) == [b"/bin/sh"])


def test_stop_and_start_give_a_new_terminal(api: Api) -> None:
    id = add(api, "bash", "bash")
    first = started(api, id)
    api.ok(f"programs/{id}/stop")
    second = started(api, id)
    assert first != second
    assert terminal_of(second).startswith("/dev/pts/")


def test_without_a_shell_it_is_bash_or_sh(api: Api, home: str) -> None:
    id = run(api, None, python("import os; print(os.environ, 'END')"), environment={"HOME": home})
    assert ("FROM_BASHRC" in api.logs(id)) is bool(shutil.which("bash"))
    program = api.get(f"programs/{id}").json()["program"]
    assert "terminal_shell" not in program
    assert "terminal_interactive" not in program


def refusals(api: Api, fields: dict[str, Any], **before: Any) -> set[str]:
    """What ``add`` and ``edit`` say."""
    body = {"name": "new", "command": "true", "user": OWN_USER, **before, **fields}
    id = api.add(enabled=False, **before)
    return {api.refused("programs/add", body), api.refused(f"programs/edit/{id}", fields)}


@pytest.mark.parametrize("value", [0, -1, 65536, 10**20])
def test_terminal_number_has_the_range_of_ports(api: Api, value: int) -> None:
    assert refusals(api, {"terminal_id": value}) == {"Field 'terminal_id' must be between 1 and 65535"}


@pytest.mark.parametrize("value", ["1", 1.0, True, [1]])
def test_terminal_number_is_an_integer(api: Api, value: Any) -> None:
    assert refusals(api, {"terminal_id": value}) == {"Field 'terminal_id' must be an integer"}


@pytest.mark.parametrize("value", ["ksh", "BASH", "bash ", "", "/bin/bash", 1, True, ["bash"]])
def test_shell_is_one_of_five(api: Api, value: Any) -> None:
    expected = {"Field 'terminal_shell' must be one of: bash, zsh, fish, sh, tmux"}
    assert refusals(api, {"terminal_id": next(numbers), "terminal_shell": value}) == expected


@pytest.mark.parametrize("value", ["true", 1, 0, "", []])
def test_interactive_is_a_boolean(api: Api, value: Any) -> None:
    expected = {"Field 'terminal_interactive' must be true or false"}
    assert refusals(api, {"terminal_id": next(numbers), "terminal_interactive": value}) == expected


@pytest.mark.parametrize("name", terminals.SHELLS)
def test_shell_without_a_number_is_refused(api: Api, name: str) -> None:
    assert refusals(api, {"terminal_shell": name}) == {"terminal_shell requires terminal_id to be set"}


@pytest.mark.parametrize("interactive", [True, False])
def test_interactive_without_a_number_is_refused(api: Api, interactive: bool) -> None:
    expected = {"terminal_interactive requires terminal_id to be set"}
    assert refusals(api, {"terminal_interactive": interactive}) == expected


def test_port_range_can_not_have_a_terminal(api: Api) -> None:
    ports = {"port_range": {"start": 64000, "end": 64001}}
    expected = "Field 'terminal_id' can't be combined with port_range"
    number = {"terminal_id": next(numbers)}
    body = {"name": "new", "command": "true", "user": OWN_USER}
    assert api.refused("programs/add", {**body, **ports, **number}) == expected
    assert api.refused(f"programs/edit/{api.add(**ports)}", number) == expected
    assert (
        api.refused(f"programs/edit/{api.add(**number)}", {"port_range": {"start": 64010, "end": 64010}})
        == expected
    )


def test_terminal_number_is_unique(api: Api) -> None:
    number = {"terminal_id": next(numbers)}
    owner = api.add(name="the owner", **number)
    expected = {f"Terminal {number['terminal_id']} is already in use by program 'the owner'"}
    assert refusals(api, number) == expected
    api.ok(f"programs/edit/{owner}", number)  # it may keep its own
    api.ok(f"programs/edit/{owner}", {"terminal_id": None})
    assert api.add(**number)


def test_null_for_the_number_clears_shell_and_interactive(api: Api) -> None:
    id = add(api, "sh", "true", terminal_interactive=True)
    shown = api.ok(f"programs/edit/{id}", {"terminal_id": None})["program"]
    assert not [key for key in shown if key.startswith("terminal")]
    assert api.get(f"programs/{id}").json()["program"] == shown


def test_null_for_the_number_can_not_come_with_a_shell(api: Api) -> None:
    id = add(api, "sh", "true")
    sentence = api.refused(f"programs/edit/{id}", {"terminal_id": None, "terminal_shell": "bash"})
    assert sentence == "terminal_shell requires terminal_id to be set"
    assert api.get(f"programs/{id}").json()["program"]["terminal_shell"] == "sh"


@pytest.mark.django_db
@pytest.mark.parametrize("name", terminals.SHELLS)
def test_shell_that_is_not_installed_is_refused_with_its_package(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # where nothing is installed
    client = APIClient()
    client.force_authenticate(User.objects.create_superuser("boss"))
    body = {"name": "x", "command": "true", "user": OWN_USER, "terminal_id": 1, "terminal_shell": name}
    answer = client.post("/api/v1/daemon/programs/add", body, format="json", headers={"host": "localhost"})
    assert answer.status_code == 400
    assert answer.json()["error"] == (
        f"Terminal shell '{name}' is not installed: on Debian and Ubuntu, apt install {name}"
    )
