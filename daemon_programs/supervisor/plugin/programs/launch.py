"""Start a command: check and prepare what it needs, and exec it in the forked child."""

import contextlib
import errno
import itertools
import os
import pwd
import resource
import secrets
import signal
import subprocess
from typing import Any, NamedTuple

from supervisor.options import NoPermission, NotExecutable, NotFound, ProcessException

from daemon_programs.supervisor.filesystem import logfiles, search_path, sight
from daemon_programs.supervisor.plugin import accounts
from daemon_programs.supervisor.plugin.io import terminal
from daemon_programs.supervisor.processes import marks
from daemon_programs.supervisor.processes.marks import Claim

_MOST_PLAIN_FILES = 16
_REMOVE_SCRIPT = 'rm -rf -- "$1"; rmdir -- "$2" 2>/dev/null'
_SHORTAGES = {errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC}
_PASSING, _FINAL = b"~", b"!"
_CHANGEABLE_SIGNALS = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}


def find_command(config: Any) -> tuple[str, list[str]]:
    """Return the path of the command's file, and the arguments. Raise ProcessException with the reason.

    A command with a slash is relative to the folder that it runs in; any other is looked up in the
    program's PATH.
    """
    program = config.argv[0]
    if "/" in program:
        candidates = [os.path.join(directory_of(config), program)]
    else:
        candidates = [os.path.join(folder, program) for folder in config.get_path()]
    if config.context.limits.users:  # clients must not learn more than the user could
        account = accounts.account_of(config)
        candidates = [candidate for candidate in candidates if sight.may_look_up(account, candidate)]
    for candidate in candidates:
        if os.path.isfile(candidate):
            if not os.access(candidate, os.X_OK):
                raise NotExecutable(f"command is not executable: {program}")
            return candidate, config.argv
    if any(os.path.isdir(candidate) for candidate in candidates):
        raise NotExecutable(f"command is a folder: {program}")
    raise NotFound(f"command not found: {program}")


def check(config: Any) -> str:
    """Return the path of the command's file. Raise ProcessException, with the reason, if it can't be run."""
    accounts.account_of(config)
    _check_work_roots(os.path.realpath(directory_of(config)), _work_roots(config))
    filename, _ = find_command(config)
    return filename


def directory_of(config: Any) -> str:
    """Return the working directory: the configured one, or the user's home, or the root folder."""
    if config.directory is not None:
        return str(config.directory)
    home = accounts.account_of(config).pw_dir
    return home if os.path.isdir(home) else "/"


def make_folders(config: Any) -> None:
    """Create the private folder, and check the log paths. Raise OSError or ProcessException."""
    for log in (config.stdout_logfile, config.stderr_logfile):
        if log is not None and os.path.isdir(log):
            raise NotExecutable(f"the log is a folder: {log}")
    if config.private_folder is not None:
        remove_private_folder(config)  # a crash may have left that of the last start
        _make_folder(os.path.dirname(config.private_folder), 0o711)
        os.mkdir(config.private_folder, 0o700)
        account = accounts.account_of(config)
        os.chown(config.private_folder, account.pw_uid, account.pw_gid)


def remove_private_folder(config: Any) -> None:
    """Remove the private folder, and its parent if that is empty then. Never blocks, whatever it contains."""
    if config.private_folder is None:
        return
    parent = os.path.dirname(config.private_folder)
    with contextlib.suppress(OSError):
        removed = f"{config.private_folder}.{secrets.token_hex(8)}"
        os.rename(config.private_folder, removed)
        if not _remove_if_plain(removed):
            helper = subprocess.Popen(
                ["/bin/sh", "-c", _REMOVE_SCRIPT, "sh", removed, parent], stdin=subprocess.DEVNULL
            )
            config.context.orphans.expect_helper(helper.pid)
    with contextlib.suppress(OSError):
        os.rmdir(parent)


def _remove_if_plain(folder: str) -> bool:
    """Remove a folder that contains a few files only, such as a socket; return whether it did."""
    with os.scandir(folder) as entries:
        found = list(itertools.islice(entries, _MOST_PLAIN_FILES + 1))
    if len(found) > _MOST_PLAIN_FILES or any(entry.is_dir(follow_symlinks=False) for entry in found):
        return False
    for entry in found:
        os.unlink(entry.path)
    os.rmdir(folder)
    return True


class Child(NamedTuple):
    """What a child needs, beside the configuration, to become the program."""

    group: str
    pipes: dict[str, int]
    filename: str
    failure_fd: int
    claim: Claim | None


class Failure(NamedTuple):
    """Why a child could not exec the command."""

    reason: str
    is_passing: bool  # for lack of something that others use as well: it may succeed later

    def write(self, descriptor: int) -> None:
        """Tell supervisord, from the child."""
        mark = _PASSING if self.is_passing else _FINAL
        os.write(descriptor, mark + self.reason.encode(errors="replace"))

    @classmethod
    def read(cls, descriptor: int) -> "Failure | None":
        """Return what a child that has ended wrote; None if it has become the program."""
        try:
            text = os.read(descriptor, 65536)
        except BlockingIOError:
            return None
        return cls(text[1:].decode(errors="replace"), text[:1] == _PASSING) if text else None


def exec_command(config: Any, child: Child) -> None:  # pragma: no cover  (in the child: it execs, or exits)
    """Exec the command. To be called in the child; the reason of a failure is written to its pipe."""
    problem, is_passing = "it could not be started", False
    pipes = child.pipes
    try:
        if child.claim is not None:
            marks.carry(child.claim.mark)
        os.setsid()
        _reset_signals()
        resource.setrlimit(resource.RLIMIT_NOFILE, config.context.limits.open_files)
        os.dup2(pipes["child_stdin"], 0)
        account = accounts.account_of(config)
        if config.terminal:
            terminal.take(account.pw_uid)
        os.dup2(pipes["child_stdout"], 1)
        os.dup2(pipes["child_stdout" if config.redirect_stderr else "child_stderr"], 2)
        directory = directory_of(config)
        work_roots = _work_roots(config)
        environment = environment_of(config, child.group, account)  # which depends on the stack's user
        problem = f'it could not become the user "{config.user}"'
        _switch_user(account)
        os.umask(config.umask)
        problem = f"Working directory '{directory}' can't be entered"
        os.chdir(directory)
        _check_work_roots(os.getcwd(), work_roots)  # the real path, in case of replaced folders
        problem = f"command can't be run: {config.argv[0]}"
        os.execve(
            os.fsencode(child.filename),
            list(map(os.fsencode, config.argv)),
            {os.fsencode(name): os.fsencode(value) for name, value in environment.items()},
        )
    except OSError as error:
        interpreter = _missing_interpreter(child.filename) if error.errno == errno.ENOENT else None
        problem = f"{problem}: {interpreter or describe(error)}"
        is_passing = is_shortage(error)
    except ProcessException as error:
        problem = error.args[0]
    finally:
        Failure(problem, is_passing).write(child.failure_fd)
        os._exit(127)


def _missing_interpreter(filename: str) -> str | None:
    """Return a sentence on the interpreter of a script, which is what is missing if the script is there."""
    with contextlib.suppress(OSError), open(filename, "rb") as script:
        line = script.readline(256)
        if line.startswith(b"#!"):
            interpreter = line[2:].rstrip(b"\n").strip(b" \t").partition(b" ")[0].decode(errors="replace")
            if interpreter.endswith("\r"):
                return f"its interpreter '{interpreter[:-1]}' is followed by a carriage return"
            return f"its interpreter '{interpreter}' does not exist"
    return None


def is_shortage(error: OSError) -> bool:
    """Return whether something is lacking that others use as well, so that a later start may succeed."""
    return error.errno in _SHORTAGES


def describe(error: OSError) -> str:
    """Return what failed, as the end of a sentence without its full stop."""
    if isinstance(error, logfiles.LogRefused):
        return str(error)
    if error.errno == errno.E2BIG:
        return "its arguments and environment are too long"
    why = (os.strerror(error.errno) if error.errno else str(error)).lower()
    if isinstance(error, logfiles.LogUnopened):
        return f"the log '{error.filename}' can't be opened: {why}"
    return why


def _work_roots(config: Any) -> list[str]:
    return [os.path.realpath(root) for root in config.context.limits.work_roots]


def _check_work_roots(directory: str, roots: list[str]) -> None:
    if roots and not any(logfiles.lies_below(f"{directory}/", root) for root in roots):
        raise NoPermission(f"programs may not run in the folder '{directory}' (DAEMON_WORK_ROOTS)")


def environment_of(config: Any, group: str, account: pwd.struct_passwd) -> dict[str, str]:
    """Return the environment of the command. Of the stack's own, only the listed variables are inherited."""
    passed = config.context.passed_environment
    environment = {name: os.environ[name] for name in passed if name in os.environ}
    environment.update(
        PATH=search_path.inherited(account.pw_name),
        HOME=account.pw_dir,
        USER=account.pw_name,
        LOGNAME=account.pw_name,
        SHELL=account.pw_shell or "/bin/sh",
    )
    environment.update(config.variables)
    if config.notifies:
        environment["NOTIFY_SOCKET"] = config.context.notices.address
    if config.watchdog_seconds is not None:
        environment["WATCHDOG_USEC"] = str(config.watchdog_seconds * 1_000_000)
    # These come last: a program's own variables must not replace them.
    environment.update(
        SUPERVISOR_ENABLED="1",
        SUPERVISOR_SERVER_URL=config.options.serverurl,
        SUPERVISOR_GROUP_NAME=group,
        SUPERVISOR_PROCESS_NAME=config.name,
    )
    return environment


def _reset_signals() -> None:
    """Set default handlers and an empty mask, as programs expect: Python ignores SIGPIPE and SIGXFSZ."""
    for signum in _CHANGEABLE_SIGNALS:
        if signal.getsignal(signum) not in (signal.SIG_DFL, None):
            signal.signal(signum, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _switch_user(account: pwd.struct_passwd) -> None:
    if os.getuid() == account.pw_uid:
        return
    os.initgroups(account.pw_name, account.pw_gid)
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)


def _make_folder(path: str, mode: int) -> None:
    """Create a folder and its parents with a mode, whatever the umask is."""
    if os.path.isdir(path):
        return
    _make_folder(os.path.dirname(path), mode)
    os.mkdir(path)
    os.chmod(path, mode)
