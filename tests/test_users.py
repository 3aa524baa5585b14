"""A program's world: its user, its environment, its signals."""

import os
import pwd
import re
import resource
from pathlib import Path

import pytest

from tests.processes import LONG_RUNNING, environment, is_root, shell, started
from tests.stack import OTHER_USER, OWN_USER, Api, Stack

needs_root = pytest.mark.skipif(not is_root(), reason="it takes root to run programs as another user")


def other_user() -> pwd.struct_passwd:
    return pwd.getpwnam(OTHER_USER if is_root() else OWN_USER)


def output_of(api: Api, command: str, **fields: object) -> str:
    """Run a command, and return its output."""
    id = api.add(command, **{"user": other_user().pw_name, "directory": "/", **fields})
    api.ok(f"programs/{id}/start", {"wait": True})
    return api.logs(id)


def test_program_runs_as_its_user_with_its_groups(api: Api) -> None:
    account = other_user()
    shown = output_of(api, "cat /proc/self/status")
    assert re.search(r"^Uid:\s+(.*)$", shown, re.M)[1].split() == [str(account.pw_uid)] * 4
    assert re.search(r"^Gid:\s+(.*)$", shown, re.M)[1].split() == [str(account.pw_gid)] * 4
    groups = {int(each) for each in re.search(r"^Groups:(.*)$", shown, re.M)[1].split()}
    assert groups == set(os.getgrouplist(account.pw_name, account.pw_gid))


def test_environment_is_that_of_the_user_and_nothing_of_the_stack(api: Api, stack: Stack) -> None:
    account = other_user()
    id = api.add(LONG_RUNNING, user=account.pw_name, directory="/", environment={"MINE": "1"})
    shown = environment(started(api, id))
    assert shown[b"HOME"] == account.pw_dir.encode()
    assert shown[b"USER"] == shown[b"LOGNAME"] == account.pw_name.encode()
    assert shown[b"SHELL"] == account.pw_shell.encode()
    assert shown[b"MINE"] == b"1"
    passed_on = {"PATH", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ"}
    own = {"HOME", "USER", "LOGNAME", "SHELL", "MINE", "PWD"}  # the last one is by sh
    supervisord = {f"SUPERVISOR_{name}" for name in ("ENABLED", "SERVER_URL", "GROUP_NAME", "PROCESS_NAME")}
    assert {name.decode() for name in shown} - passed_on == own | supervisord
    of_the_stack = environment(stack.supervisord_pid)
    assert b"DAEMON_STATE_DIR" in of_the_stack  # so there was something to keep back
    assert shown[b"PATH"] == b":".join(
        folder
        for folder in of_the_stack[b"PATH"].split(b":")
        if not is_root() or not f"{folder.decode()}/".startswith(f"{pwd.getpwuid(0).pw_dir}/")
    )


@needs_root
def test_path_of_other_users_has_nothing_of_the_stack_users_home(own_stack: Stack, tmp_path: Path) -> None:
    home, elsewhere = pwd.getpwuid(0).pw_dir, tmp_path / "bin"
    elsewhere.symlink_to(home)
    folders = [*os.environ["PATH"].split(":"), f"{home}/bin", home, str(elsewhere), f"{home}2/bin"]
    own_stack.environment["PATH"] = ":".join(folders)
    api = own_stack.start().api
    of_root, of_nobody = (
        environment(started(api, api.add(LONG_RUNNING, user=user, directory="/")))[b"PATH"]
        .decode()
        .split(":")
        for user in ("root", "nobody")
    )
    assert of_root == folders
    assert of_nobody == [
        folder for folder in folders if not f"{folder}/".startswith(f"{home}/") and folder != str(elsewhere)
    ]


def test_program_may_set_what_it_would_be_given(api: Api) -> None:
    mine = {"HOME": "/x", "USER": "x", "LOGNAME": "y", "SHELL": "/z", "PATH": "/usr/bin:/bin", "LANG": "C"}
    shown = environment(started(api, api.add(LONG_RUNNING, environment=mine)))
    assert {name: shown[name.encode()].decode() for name in mine} == mine


def test_directory_is_the_users_home_or_the_root_folder(api: Api) -> None:
    home = other_user().pw_dir
    expected = home if os.path.isdir(home) else "/"  # noqa: PTH112
    assert output_of(api, "pwd", directory=None) == expected
    assert output_of(api, "pwd", directory="/usr") == "/usr"


def test_signals_are_as_a_program_expects_them(api: Api) -> None:
    """Python, and so supervisord, ignores SIGPIPE; a program that inherits that never ends in a pipe."""
    shown = output_of(api, "grep -E '^Sig(Blk|Ign)' /proc/self/status")
    masks = dict(line.split(":\t") for line in shown.splitlines())
    # The C library reserves signals 32 and 33: they can't be set, even if they were ignored before.
    everybodys = ~(0b11 << 31)
    assert int(masks["SigBlk"], 16) & everybodys == int(masks["SigIgn"], 16) & everybodys == 0


def test_program_leads_a_session_of_its_own(api: Api) -> None:
    pid = started(api, api.add(LONG_RUNNING))
    assert os.getsid(pid) == os.getpgid(pid) == pid


def test_nothing_that_the_stack_has_open_is_passed_on(api: Api) -> None:
    shown = output_of(api, shell("ls /proc/$$/fd"))
    assert set(shown.split()) == {"0", "1", "2"}


def test_files_that_a_program_makes_can_be_read_by_others(api: Api) -> None:
    assert output_of(api, shell("umask")) == "0022"


@needs_root
def test_state_folder_is_closed_to_programs(api: Api, stack: Stack) -> None:
    for file in ("api-token", "secret-key", "db.sqlite3", "supervisor.sock", "conf.d"):
        shown = output_of(api, shell('cat "$1" 2>&1; true', str(stack.folder / file)))
        assert shown.endswith("Permission denied"), file


@needs_root
def test_programs_of_different_users_run_side_by_side(api: Api) -> None:
    for user in ("daemon", OTHER_USER):
        id = api.add("id -un", user=user, directory="/")
        api.ok(f"programs/{id}/start", {"wait": True})
        assert api.logs(id) == user


def test_limits_are_those_that_the_stack_was_started_with(api: Api) -> None:
    """supervisord raises its own limit of open files; programs keep what was."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert output_of(api, shell("ulimit -Sn; ulimit -Hn")).split() == [
        str(limit) if limit != resource.RLIM_INFINITY else "unlimited" for limit in (soft, hard)
    ]
