"""``env_file``: read at each start with the rights of the program's user."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon_programs.supervisor.filesystem import env_files
from tests.processes import BECOMES, KEEPS_ARGUMENTS, LONG_RUNNING, environment, is_root, started
from tests.stack import OTHER_USER, OWN_USER, Api, Stack, temporary_folder
from tests.temporary_programs import Quick

needs_root = pytest.mark.skipif(not is_root(), reason="it takes root to run programs as another user")

# What a file may hold, and the variables of it.
SYNTAX = (
    b"\xef\xbb\xbf# a comment\r\n"
    b"PLAIN=one two # said\r\n"
    b"\n"
    b"export EXPORTED = 'single \\' ${PLAIN} $(id)'\n"
    b'LINES="first\nsecond\\n\\"third\\""\n'
    b"EMPTY=\n"
    b"HASH=#no\n"
    b"UNSET\n"
    b"a.b-c=dotted\n"
    b"BYTES=\xff\xfe \xe2\x82\xac\n"
    b"LAST=$HOME"
)
VARIABLES = {
    b"PLAIN": b"one two",
    b"EXPORTED": b"single ' ${PLAIN} $(id)",
    b"LINES": b'first\nsecond\n"third"',
    b"EMPTY": b"",
    b"HASH": b"#no",
    b"a.b-c": b"dotted",
    b"BYTES": b"\xff\xfe \xe2\x82\xac",
    b"LAST": b"$HOME",
}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users can read."""
    with temporary_folder() as made:
        yield made


def written(file: Path, text: str | bytes, mode: int = 0o644) -> str:
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    file.chmod(mode)
    return str(file)


def refusal(api: Api, **fields: object) -> str:
    """Why a start fails."""
    id = api.add(LONG_RUNNING, **fields)
    sentence = api.refused(f"programs/{id}/start", {"wait": True})
    assert api.word(id) == "fatal"
    assert api.status(id)["last_run"]["error"] in sentence
    return sentence


def test_program_gets_the_variables_of_its_file(api: Api, folder: Path) -> None:
    shown = environment(started(api, api.add(BECOMES, env_file=written(folder / "a.env", SYNTAX))))
    assert {name: shown.get(name) for name in VARIABLES} == VARIABLES
    assert b"UNSET" not in shown


def test_environment_wins_and_later_files_win_over_earlier_ones(api: Api, folder: Path) -> None:
    files = [
        written(folder / "a.env", "A=a\nB=a\nC=a\nDISPLAY=:9\nHOME=/a\nSUPERVISOR_GROUP_NAME=a\n"),
        "-" + written(folder / "b.env", "B=b\nC=b\n"),
        f"-{folder}/none.env",
    ]
    id = api.add(LONG_RUNNING, env_file=files, environment={"C": "c"}, display=":1")
    shown = environment(started(api, id))
    names = (b"A", b"B", b"C", b"DISPLAY", b"HOME")
    assert [shown[name] for name in names] == [b"a", b"b", b"c", b":1", b"/a"]
    assert shown[b"SUPERVISOR_GROUP_NAME"] == f"program-{id}".encode()


def test_port_of_an_instance_wins(api: Api, folder: Path) -> None:
    ports = {"start": 21510, "end": 21511}
    id = api.add(LONG_RUNNING, env_file=written(folder / "a.env", "PORT=1\nA=b\n"), port_range=ports)
    for port in (21510, 21511):
        shown = environment(started(api, id, port))
        assert (shown[b"PORT"], shown[b"A"]) == (str(port).encode(), b"b")


def test_file_is_read_at_each_start(api: Api, folder: Path) -> None:
    file = folder / "a.env"
    id = api.add(KEEPS_ARGUMENTS, env_file=written(file, "A=1\n"))
    old = started(api, id)
    written(file, "A=2\n")
    assert environment(old)[b"A"] == b"1"
    api.ok(f"programs/{id}/restart", {"wait": True})
    assert environment(api.pid(id) or 0)[b"A"] == b"2"
    file.unlink()
    api.ok(f"programs/{id}/stop")
    assert api.refused(f"programs/{id}/start", {"wait": True}).endswith(
        f"env_file '{file}' can't be read: no such file or directory"
    )
    written(file, "A=3\n")
    assert environment(started(api, id))[b"A"] == b"3"


def test_temporary_program_reads_its_file(quick: Quick, folder: Path) -> None:
    file = written(folder / "a.env", "A=b\n")
    answer = quick.launch("printenv A", wait="exit", env_file=file)
    assert answer["stdout"] == "b"
    failed = quick.launch("true", wait="exit", env_file=[file, "/none.env"])
    assert failed["status"] == "fatal"
    assert failed["last_run"]["error"] == "env_file '/none.env' can't be read: no such file or directory"


def test_terminal_session_has_the_variables(api: Api, folder: Path) -> None:
    file = written(folder / "a.env", "A=b\n")
    id = api.add(LONG_RUNNING, env_file=file, terminal_id=4101, terminal_shell="sh")
    shown = environment(started(api, id))
    assert shown[b"A"] == b"b"


# What fails a start

NO_VARIABLE = "line {} of env_file '{}' is not a variable, NAME=value"

UNREADABLE = {
    "": "env_file '{}' can't be read: no such file or directory",
    "file/a.env": "env_file '{}' can't be read: not a directory",
    "folder": "env_file '{}' can't be read: is a directory",
    "fifo": "env_file '{}' is not a regular file",
    "large": "env_file '{}' is larger than 1 MiB",
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_file_that_can_not_be_read_fails_the_start(api: Api, folder: Path, name: str) -> None:
    written(folder / "file", "A=b\n")
    (folder / "folder").mkdir()
    os.mkfifo(folder / "fifo")
    written(folder / "large", b"#" * (1024 * 1024 + 1))
    path = str(folder / (name or "none"))
    assert refusal(api, env_file=path).endswith(UNREADABLE[name].format(path))


def test_only_a_file_that_is_not_there_may_be_missing(api: Api, folder: Path) -> None:
    started(api, api.add(LONG_RUNNING, env_file=f"-{folder}/none/a.env"))
    (folder / "folder").mkdir()
    assert refusal(api, env_file=f"-{folder}/folder").endswith("can't be read: is a directory")
    wrong = written(folder / "a.env", "'\n")
    assert refusal(api, env_file=f"-{wrong}").endswith(NO_VARIABLE.format(1, wrong))


WRONG = ["A=b\n\n \n'secret\n", "A='b\nc'\n\nB=\"secret\n", "A=b\nC=d\n\nexport =secret"]


@pytest.mark.parametrize("text", WRONG)
def test_line_that_is_no_variable_fails_the_start(api: Api, folder: Path, text: str) -> None:
    """What stands in the line is not told."""
    file = written(folder / "a.env", text)
    assert refusal(api, env_file=file).endswith(NO_VARIABLE.format(4, file))


@pytest.mark.parametrize("text", [b"A=b\nB=secret\0c\n", b"A=b\n'secret=name'=c\n"])
def test_variable_that_no_program_can_have_fails_the_start(api: Api, folder: Path, text: bytes) -> None:
    file = written(folder / "a.env", text)
    assert refusal(api, env_file=file).endswith(f"line 2 of env_file '{file}' can't be passed to a program")


def test_more_than_the_kernel_takes_fails_the_start(api: Api, folder: Path) -> None:
    file = written(folder / "a.env", "A=" + "x" * (128 * 1024))
    assert refusal(api, env_file=file).endswith("its arguments and environment are too long")


# Rights


@needs_root
def test_file_is_read_with_the_rights_of_the_programs_user(api: Api, folder: Path) -> None:
    secret = written(folder / "secret.env", "SECRET=swordfish\n'\n", 0o600)
    link = folder / "link.env"
    link.symlink_to(secret)
    (folder / "closed").mkdir(mode=0o700)
    inside = written(folder / "closed" / "a.env", "SECRET=swordfish\n'\n")
    user = {"user": OTHER_USER, "directory": "/"}
    for path in (secret, str(link), inside, f"-{secret}"):
        sentence = refusal(api, env_file=path, **user)
        assert sentence.endswith(f"env_file '{path.removeprefix('-')}' can't be read: permission denied")
    assert refusal(api, env_file=secret).endswith(NO_VARIABLE.format(2, secret))
    shutil.chown(secret, OTHER_USER)
    written(Path(secret), "A=own\n", 0o600)
    assert environment(started(api, api.add(LONG_RUNNING, env_file=secret, **user)))[b"A"] == b"own"


@needs_root
def test_no_path_leads_to_what_supervisord_has_open(api: Api, stack: Stack) -> None:
    """Its files lie in a folder that the program's user may not enter, but each may be readable."""
    opened = Path(f"/proc/{stack.supervisord_pid}/fd")
    log = next(file for each in opened.iterdir() if (file := each.readlink()).name == "supervisord.log")
    mode = stat.S_IMODE(log.stat().st_mode)
    log.chmod(0o644)
    try:
        for number in [each.name for each in opened.iterdir() if each.readlink() == log]:
            path = f"/proc/self/fd/{number}"
            sentence = refusal(api, env_file=path, user=OTHER_USER, directory="/")
            assert sentence.endswith(f"env_file '{path}' can't be read: no such file or directory")
    finally:
        log.chmod(mode)


@pytest.mark.parametrize("path", ["/proc/self/status", "/proc/self/environ", "/dev/zero", "/dev/stdin"])
def test_nothing_but_a_file_is_read(api: Api, path: str) -> None:
    assert refusal(api, env_file=path).endswith(f"env_file '{path}' is not a regular file")


def test_users_that_are_allowed_learn_no_more_than_they_may_see(own_stack: Stack) -> None:
    own_stack.environment["DAEMON_ALLOWED_USERS"] = OTHER_USER if is_root() else OWN_USER
    api = own_stack.start().api
    user = own_stack.environment["DAEMON_ALLOWED_USERS"]
    for name in ("db.sqlite3", "none"):  # in a folder that nobody but the stack's user may enter
        path = str(own_stack.folder / name)
        sentence = refusal(api, env_file=path, user=user, directory="/")
        if is_root():
            assert sentence.endswith(f"env_file '{path}' can't be read: permission denied")


# The child's side, in this process


def test_later_file_wins(folder: Path) -> None:
    first, second = written(folder / "a", "A=1\nB=1\n"), written(folder / "b", "B=2\n")
    assert env_files.read([first, f"-{second}", f"-{folder}/none"]) == {"A": "1", "B": "2"}
    assert env_files.read([]) == {}


def test_parsing_says_where_it_fails(folder: Path) -> None:
    file = written(folder / "a", "A=b\r\n\r\n  '\r\n")
    with pytest.raises(env_files.EnvFileUnusable, match="line 3 of env_file"):
        env_files.read([file])
