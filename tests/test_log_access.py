"""Logs in folders where others may write: the stack opens, empties and renames only the user's own."""

import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from daemon_programs.exceptions import Refused
from daemon_programs.logs.tail import open_log, tail
from daemon_programs.supervisor.filesystem.logfiles import Access, LogRefused, located, open_to_write
from daemon_programs.supervisor.plugin.io.output import RotatingLog
from tests.processes import is_root, shell
from tests.stack import OTHER_USER, Api, Stack, eventually

pytestmark = pytest.mark.skipif(not is_root(), reason="it takes root to have several users")

USER = pwd.getpwnam(OTHER_USER)
ACCESS = Access(USER.pw_uid, USER.pw_gid)
SECRET = "not for all users"


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder of the program's user, who can put anything there."""
    folder = Path(tempfile.mkdtemp(prefix="daemon-test-"))
    folder.chmod(0o755)
    yield theirs(folder / "home")
    shutil.rmtree(folder)


@pytest.fixture
def ours() -> Iterator[Path]:
    """A folder that only root can access."""
    places = (Path(name) for name in ("/run", "/var/lib", "/srv", "/opt"))
    place = next((each for each in places if each.is_dir() and not each.stat().st_mode & 0o022), None)
    if place is None:
        pytest.skip("all folders that could be used are open to others")
    folder = Path(tempfile.mkdtemp(prefix="daemon-test-", dir=place))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_text(SECRET)
    file.chmod(0o600)
    return file


def test_folder_that_was_exchanged_while_it_was_made_stays_whose_it_is(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = home / "private"
    private.mkdir(0o700)
    mkdir = os.mkdir

    def exchanged(name: str, mode: int, **options: int) -> None:
        mkdir(name, mode, **options)
        (home / "new").rename(home / "away")
        private.rename(home / "new")

    monkeypatch.setattr(os, "mkdir", exchanged)
    way = located(str(home / "new" / "log"), ACCESS, make=True)
    with pytest.raises(LogRefused, match="another user's"), way:
        pass
    status = (home / "new").stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (0, 0o700)
    assert (home / "away").stat().st_uid == USER.pw_uid


def test_folder_is_made_for_a_user_that_has_vanished(home: Path) -> None:
    uid = 54321
    os.chown(home, uid, uid)
    with located(str(home / "new" / "log"), Access(uid, uid), make=True):
        status = (home / "new").stat()
    assert (status.st_uid, status.st_gid) == (uid, uid)


def theirs(path: Path, content: str | None = None) -> Path:
    """A folder, or a file, of the program's user's."""
    if content is None:
        path.mkdir()
    else:
        path.write_text(content)
    os.chown(path, USER.pw_uid, USER.pw_gid)
    return path


def plant(link: Path, target: Path) -> None:
    link.symlink_to(target)
    os.lchown(link, USER.pw_uid, USER.pw_gid)


def write(path: Path, text: str = "line\n", access: Access = ACCESS) -> None:
    """As the plugin opens a log at a start."""
    with located(str(path), access, make=True) as place:
        log = open_to_write(place)
    os.write(log, text.encode())
    os.close(log)


def owner_and_mode(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_uid, stat.S_IMODE(status.st_mode)


# What is made


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_log_belongs_to_its_user_only(home: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write(home / "out.log")
    finally:
        os.umask(before)
    assert owner_and_mode(home / "out.log") == (USER.pw_uid, 0o600)
    assert tail(str(home / "out.log"), 10, USER.pw_name).lines == ["line"]


def test_folders_that_are_made_are_as_open_as_the_one_they_are_in(home: Path, ours: Path) -> None:
    home.chmod(0o770)
    for folder in (home, ours):
        write(folder / "a" / "b" / "out.log")
    assert owner_and_mode(home / "a" / "b") == (USER.pw_uid, 0o750)
    assert owner_and_mode(ours / "a" / "b") == (0, 0o755), "other users can plant nothing in it"


def test_log_in_the_stacks_own_folder_goes_to_the_present_user(ours: Path) -> None:
    log = ours / "logs" / "web" / "stdout.log"
    log.parent.mkdir(parents=True)
    log.write_text("of another user\n")
    write(log, access=ACCESS._replace(logs=str(ours / "logs")))
    assert owner_and_mode(log)[0] == USER.pw_uid
    assert log.read_text() == "of another user\nline\n"


def test_log_that_is_there_already_stays_whose_it_is(ours: Path) -> None:
    (ours / "out.log").write_text("")
    write(ours / "out.log")
    assert owner_and_mode(ours / "out.log")[0] == 0


# What is planted


def test_link_in_the_place_of_a_log_is_not_followed(home: Path, secret: Path) -> None:
    plant(home / "out.log", secret)
    refuses(home / "out.log", "leads through a link that another user can have made")
    assert secret.read_text() == SECRET


def test_link_to_nothing_makes_no_file(home: Path, tmp_path: Path) -> None:
    plant(home / "out.log", tmp_path / "new")
    refuses(home / "out.log", "leads through a link that another user can have made")
    assert not (tmp_path / "new").exists()


def test_link_on_the_way_is_not_followed(home: Path, tmp_path: Path, secret: Path) -> None:
    plant(home / "logs", tmp_path)
    refuses(home / "logs" / secret.name, "leads through a link that another user can have made")
    with pytest.raises(LogRefused):
        write(home / "logs" / "new" / "out.log")
    assert not (tmp_path / "new").exists()


def test_hard_link_to_a_file_of_another_user_is_refused(home: Path, secret: Path) -> None:
    os.link(secret, home / "out.log")
    refuses(home / "out.log", "belongs to another user than the program's")
    assert (secret.read_text(), owner_and_mode(secret)) == (SECRET, (0, 0o600))


def test_other_name_of_a_file_of_the_user_is_refused(home: Path) -> None:
    theirs(home / "keys", SECRET)
    os.link(home / "keys", home / "out.log")
    refuses(home / "out.log", "has another name beside this one")


def refuses(path: Path, why: str) -> None:
    with pytest.raises(LogRefused) as writing:
        write(path)
    assert str(writing.value) == f"{path} {why}"
    with pytest.raises(Refused) as reading:
        open_log(str(path), USER.pw_name)
    assert str(reading.value) == f"The log can't be read: {path} {why}"


def test_log_of_a_removed_user_is_not_readable(home: Path) -> None:
    theirs(home / "out.log", "line\n")
    with pytest.raises(Refused):
        open_log(str(home / "out.log"), "no such user")


def test_fifo_blocks_nothing(home: Path) -> None:
    os.mkfifo(home / "out.log")
    os.chown(home / "out.log", USER.pw_uid, USER.pw_gid)
    with pytest.raises(OSError, match="No such device or address"):
        write(home / "out.log")
    assert open_log(str(home / "out.log"), USER.pw_name) is None


def test_links_that_only_root_can_have_made_are_followed(ours: Path) -> None:
    (ours / "disk").mkdir()
    (ours / "logs").symlink_to("disk")
    (ours / "out.log").symlink_to(ours / "logs" / "../logs/real.log")
    write(ours / "logs" / "first.log")
    write(ours / "out.log")
    assert sorted(file.name for file in (ours / "disk").iterdir()) == ["first.log", "real.log"]
    assert tail(str(ours / "out.log"), 10, USER.pw_name).lines == ["line"]


def test_link_of_roots_into_a_folder_of_others_ends_the_trust(ours: Path, home: Path, secret: Path) -> None:
    (ours / "logs").symlink_to(home)
    plant(home / "out.log", secret)
    with pytest.raises(LogRefused):
        write(ours / "logs" / "out.log")
    with pytest.raises(LogRefused):
        write(ours / "logs" / "out.log", access=ACCESS._replace(logs=str(ours)))


def test_links_in_a_circle_have_an_end(ours: Path) -> None:
    (ours / "a").symlink_to("b")
    (ours / "b").symlink_to("a")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        write(ours / "a" / "out.log")


def test_standard_output_of_the_stack_can_be_a_log(tmp_path: Path) -> None:
    kept = os.dup(1)
    output = os.open(tmp_path / "output", os.O_WRONLY | os.O_CREAT)
    os.dup2(output, 1)
    try:
        write(Path("/dev/stdout"), "to the terminal\n")
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(output)
    assert (tmp_path / "output").read_text() == "to the terminal\n"
    assert open_log("/dev/stdout", "root") is None


# Roots


def test_roots_hold_for_where_the_log_really_is(ours: Path, home: Path) -> None:
    (ours / "logs").mkdir()
    (ours / "logs" / "out").symlink_to(home)
    (ours / "alias").symlink_to("logs")
    access = ACCESS._replace(roots=(str(ours / "alias"),))
    write(ours / "logs" / "web" / "out.log", access=access)
    for path in (ours / "logs" / "out" / "out.log", ours / "logs2" / "out.log", ours / "logs/../out.log"):
        with pytest.raises(LogRefused) as refusal:
            write(path, access=access)
        assert str(refusal.value) == f"{path} lies outside of the folders that logs may be in"
    assert list(home.iterdir()) == []


# Rotation


def emit(log: RotatingLog, *chunks: bytes) -> None:
    for chunk in chunks:
        log.emit(SimpleNamespace(msg=chunk))


def test_rotation_replaces_no_files_of_other_users(home: Path, secret: Path) -> None:
    os.link(secret, home / "out.log.1")
    log = RotatingLog(str(home / "out.log"), 4, 2, ACCESS)
    emit(log, b"one\n")
    assert secret.samefile(home / "out.log.1")
    (home / "out.log.1").unlink()
    log.close()
    log = RotatingLog(str(home / "out.log"), 4, 2, ACCESS)
    emit(log, b"two\n")
    assert (home / "out.log.1").read_text() == "one\ntwo\n"
    assert owner_and_mode(home / "out.log") == (USER.pw_uid, 0o600)
    log.close()


@pytest.mark.parametrize("backups", [0, 1])
def test_link_planted_while_it_runs_is_neither_written_nor_emptied(
    home: Path, secret: Path, backups: int
) -> None:
    log = RotatingLog(str(home / "out.log"), 4, backups, ACCESS)
    (home / "out.log").rename(home / "moved")
    plant(home / "out.log", secret)
    emit(log, b"one\n", b"two\n")
    log.reopen()
    emit(log, b"three\n")
    with pytest.raises(LogRefused):
        log.remove()
    assert secret.read_text() == SECRET
    log.close()


# In a running stack


def test_default_logs_are_the_users_in_folders_of_the_stack(api: Api, stack: Stack) -> None:
    id = api.add(shell("seq 3"), name="whose logs", user=USER.pw_name, directory="/")
    api.ok(f"programs/{id}/start", {"wait": True})
    folder = stack.folder / "logs" / "whose logs"
    assert owner_and_mode(folder) == (0, 0o700)
    for stream in ("stdout", "stderr"):
        assert owner_and_mode(folder / f"{stream}.log") == (USER.pw_uid, 0o600)
    assert api.logs(id) == "1\n2\n3"


def test_program_that_plants_a_link_gains_nothing(api: Api, home: Path, secret: Path) -> None:
    log = home / "out.log"
    swap = shell('ln -s "$2" "$1.new" && mv -fT "$1.new" "$1"', str(log), str(secret))
    id = api.add(swap, user=USER.pw_name, directory="/", stdout_logfile=str(log), autorestart="false")
    api.ok(f"programs/{id}/start", {"wait": True})
    eventually(log.is_symlink)
    answer = api.get(f"programs/{id}/logs")
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("The log can't be read: ")
    assert SECRET not in answer.text
    why = f"{log} leads through a link that another user can have made"
    sentence = api.refused(f"programs/{id}/start", {"wait": True})
    assert sentence == f"Program with ID {id} did not start: its logs or its terminal can't be made: {why}"
    assert api.status(id)["last_run"]["error"].endswith(why)
    assert secret.read_text() == SECRET
