"""``terminal_id``, ``terminal_shell`` and ``terminal_interactive``: shells. (``tmux``: ``test_tmux.py``.)"""

import re
import shutil
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.processes import BECOMES, LONG_RUNNING, arguments, is_root, python, shell, started, tree
from tests.stack import OTHER_USER, Api, Stack, eventually
from tests.terminal_programs import TerminalPrograms, of_each_shell, of_each_shell_and_tmux

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
ARGUMENTS = [
    ";", "a;", "a\\;", "a b", "", "'", '"', "$HOME", "$(id)", "`id`", "\\", "\\n", "-n", "--", "-", "*", "~",
    "#", "#{pane_id}", "%1", "!x", "{}", "{a,b}", "a=b", "&", "|", "<", ">", "^", "日本", "\t", "\x1b[1m\x7f",
]  # fmt: skip


@pytest.fixture
def terminals(api: Api, tmp_path: Path) -> TerminalPrograms:
    for name, line in START_UP.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{line}\n")
    return TerminalPrograms(api, tmp_path)


@of_each_shell
@pytest.mark.parametrize("interactive", [None, False, True])
def test_start_up_files_are_loaded_before_the_command(
    terminals: TerminalPrograms, name: str, interactive: bool | None
) -> None:
    code = "import os; print(*[key for key in os.environ if key.startswith('FROM_')], 'END')"
    id = terminals.run(name, python(code), terminal_interactive=interactive)
    line = next(line for line in terminals.api.logs(id).splitlines() if line.endswith("END"))
    assert set(line.split()) == {*LOADED[name], "END"}


@of_each_shell_and_tmux
@pytest.mark.parametrize("interactive", [None, False, True])
def test_arguments_arrive_byte_for_byte(
    terminals: TerminalPrograms, tmp_path: Path, name: str, interactive: bool | None
) -> None:
    terminals.run(name, telling(tmp_path / "arguments", ARGUMENTS), terminal_interactive=interactive)
    assert (tmp_path / "arguments").read_bytes() == "\0".join(ARGUMENTS).encode()


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
def test_any_arguments_arrive(
    terminals: TerminalPrograms, tmp_path: Path, name: str, given_texts: list[str]
) -> None:
    id = terminals.run(name, telling(tmp_path / "arguments", given_texts))
    assert (tmp_path / "arguments").read_bytes() == "\0".join(given_texts).encode()
    terminals.api.ok(f"programs/remove/{id}")


@of_each_shell_and_tmux
def test_long_arguments_arrive(terminals: TerminalPrograms, tmp_path: Path, name: str) -> None:
    long = ["x" * 100_000, "y" * 100_000]
    terminals.run(name, telling(tmp_path / "arguments", long))
    assert (tmp_path / "arguments").read_bytes() == "\0".join(long).encode()


@of_each_shell_and_tmux
@pytest.mark.parametrize("interactive", [None, True])
def test_command_is_a_program_never_a_word_of_the_shell(
    terminals: TerminalPrograms, name: str, interactive: bool | None
) -> None:
    """Most shells have an ``echo`` of their own that reads backslashes; start-up files may have others."""
    for file in (".profile", ".zshrc"):
        (terminals.home / file).write_text("echo() { printf function; }\n")
    id = terminals.run(name, "echo 'a\\nb' END", terminal_interactive=interactive)
    assert terminals.api.logs(id).splitlines()[0] == "a\\nb END"


@of_each_shell_and_tmux
def test_program_has_a_real_terminal(terminals: TerminalPrograms, name: str) -> None:
    code = "import os; open('/dev/tty'); print(*[os.ttyname(each) for each in (0, 1, 2)], 'END')"
    lines = terminals.api.logs(terminals.run(name, python(code))).splitlines()
    assert re.fullmatch(r"(/dev/pts/\d+) \1 \1 END", lines[0])


def test_without_a_terminal_there_is_none(api: Api) -> None:
    id = api.add("tty", autorestart="false")
    api.ok(f"programs/{id}/start")
    api.until(id, "exited")
    assert api.logs(id) == "not a tty"


@pytest.mark.skipif(not is_root(), reason="only root runs programs as others")
def test_terminal_belongs_to_the_user_of_the_program(terminals: TerminalPrograms) -> None:
    command = shell('stat -c "%U END" "$(tty)"; echo again > "$(tty)"')
    id = terminals.run("sh", command, user=OTHER_USER, directory="/")
    eventually(lambda: terminals.api.logs(id) == f"{OTHER_USER} END\nagain")


@of_each_shell
def test_output_and_errors_are_one_stream_without_carriage_returns(
    terminals: TerminalPrograms, name: str
) -> None:
    id = terminals.run(name, shell("echo out; echo err >&2; echo END"))
    log = terminals.api.get(f"programs/{id}/logs").json()["log_file"]
    assert Path(log).read_bytes() == b"out\nerr\nEND\n"
    assert terminals.api.logs(id, type="stderr") == ""


@of_each_shell_and_tmux
@pytest.mark.parametrize("interactive", [None, False])
def test_exit_code_survives(terminals: TerminalPrograms, name: str, interactive: bool | None) -> None:
    id = terminals.run(name, shell("echo END; exit 7"), terminal_interactive=interactive)
    assert terminals.api.until(id, "exited")["last_run"]["exit_code"] == 7


@of_each_shell
def test_signal_that_ends_the_command_is_reported(terminals: TerminalPrograms, name: str) -> None:
    id = terminals.run(name, shell("echo END; kill -9 $$"))
    assert terminals.api.until(id, "exited")["last_run"]["signal"] == "SIGKILL"


@of_each_shell
def test_interactive_true_keeps_the_shell_after_the_command(
    terminals: TerminalPrograms, stack: Stack, name: str
) -> None:
    id = terminals.run(name, shell("echo END; exit 7"), terminal_interactive=True)
    pid = terminals.api.until(id, "running")["status"]["pid"]
    eventually(lambda: arguments(pid) == [name.encode(), b"-i"])
    assert terminal_of(pid).startswith("/dev/pts/")
    # An interactive shell doesn't heed SIGTERM, and is stopped all the same.
    terminals.api.ok(f"programs/{id}/stop")
    assert tree(stack, id) == []


def terminal_of(pid: int) -> str:
    return str(Path(f"/proc/{pid}/fd/0").readlink())


@of_each_shell
@pytest.mark.parametrize("interactive", [None, False])
def test_otherwise_the_command_takes_the_place_of_the_shell(
    terminals: TerminalPrograms, name: str, interactive: bool | None
) -> None:
    id = terminals.add(name, LONG_RUNNING, terminal_interactive=interactive)
    pid = started(terminals.api, id)
    expected = BECOMES.encode().split()
    eventually(lambda: arguments(pid) == expected)
    assert terminals.api.status(id)["stats"]["process_count"] == 1


@of_each_shell
@pytest.mark.parametrize("command", ["bash", "/bin/sh"])
def test_shell_stays_with_a_command_that_is_of_no_use_without_it(
    terminals: TerminalPrograms, name: str, command: str
) -> None:
    pid = started(terminals.api, terminals.add(name, command))
    eventually(lambda: child_of(pid, command)).kill()
    eventually(lambda: arguments(pid) == [name.encode(), b"-i"])


def child_of(pid: int, command: str) -> psutil.Process | None:
    """The process of the command, below the shell."""
    below = psutil.Process(pid).children()
    return next((each for each in below if arguments(each.pid) == [command.encode()]), None)


@of_each_shell
def test_interactive_false_takes_the_shell_away_even_then(terminals: TerminalPrograms, name: str) -> None:
    pid = started(terminals.api, terminals.add(name, "/bin/sh", terminal_interactive=False))
    eventually(lambda: arguments(pid) == [b"/bin/sh"])


def test_each_start_gives_a_new_terminal(terminals: TerminalPrograms) -> None:
    id = terminals.add("sh", "sh")
    first = started(terminals.api, id)
    terminals.api.ok(f"programs/{id}/stop")
    second = started(terminals.api, id)
    assert first != second
    assert terminal_of(second).startswith("/dev/pts/")


def test_without_a_shell_it_is_bash_or_sh(terminals: TerminalPrograms) -> None:
    id = terminals.run(None, python("import os; print('FROM_BASHRC' in os.environ, 'END')"))
    assert terminals.api.logs(id) == f"{bool(shutil.which('bash'))} END"
    program = terminals.api.get(f"programs/{id}").json()["program"]
    assert {"terminal_shell", "terminal_interactive"} & set(program) == set()
