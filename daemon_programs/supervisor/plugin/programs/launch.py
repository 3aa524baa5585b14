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

from daemon_programs.supervisor.filesystem import env_files, logfiles, search_path, sight
from daemon_programs.supervisor.plugin import accounts
from daemon_programs.supervisor.plugin.io import terminal
from daemon_programs.supervisor.processes import marks, resources
from daemon_programs.supervisor.processes.marks import Claim

_MOST_PLAIN_FILES = 16
_REMOVE_SCRIPT = 'rm -rf -- "$1"; rmdir -- "$2" 2>/dev/null'
_SHORTAGES = {errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC}
_PASSING, _FINAL = b"~", b"!"
_ALL_SIGNALS = signal.valid_signals()
_CHANGEABLE_SIGNALS = _ALL_SIGNALS - {signal.SIGKILL, signal.SIGSTOP}


def find_command(config: Any, argv: list[str] | None = None) -> tuple[str, list[str]]:
    """Return the path of a command's file, and its arguments. Raise ProcessException with the reason.

    Without ``argv`` it is the program's own command. A command with a slash is relative to the folder that
    it runs in; any other is looked up in the program's PATH.
    """
    argv = argv or config.argv
    program = argv[0]
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
            return candidate, argv
    if any(os.path.isdir(candidate) for candidate in candidates):
        raise NotExecutable(f"command is a folder: {program}")
    raise NotFound(f"command not found: {program}")


def check(config: Any, argv: list[str] | None = None) -> str:
    """Return the path of a command's file. Raise ProcessException, with the reason, if it can't be run."""
    accounts.account_of(config)
    _check_work_roots(os.path.realpath(directory_of(config)), _work_roots(config))
    filename, _ = find_command(config, argv)
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
    # Of a command that runs beside the program's own; it has no terminal.
    argv: list[str] | None = None
    variables: dict[str, str] | None = None  # more of them


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


def fork(config: Any, child: Child) -> int:
    """Fork the child that execs a command, and return its pid. Raise OSError."""
    # Block signals until the child has reset its handlers: until then it has supervisord's, which would
    # swallow a signal that is meant to end the program.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _ALL_SIGNALS)
    supervisord = os.getpid()
    try:
        pid: int = config.options.fork()
        if not pid:
            exec_command(config, child, supervisord)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return pid


def exec_command(config: Any, child: Child, supervisord: int) -> None:  # pragma: no cover  (in the child)
    """Exec the command, in the child of supervisord. The reason of a failure is written to its pipe."""
    problem, is_passing = "it could not be started", False
    pipes = child.pipes
    argv = child.argv or config.argv
    try:
        if child.claim is not None:
            marks.carry(child.claim.mark)
        if os.getppid() != supervisord:
            os._exit(127)  # it was killed, and the next one may have looked for marks before this had its own
        os.setsid()
        _reset_signals()
        resource.setrlimit(resource.RLIMIT_NOFILE, config.context.limits.open_files)
        os.dup2(pipes["child_stdin"] if child.argv is None else os.open(os.devnull, os.O_RDONLY), 0)
        problem = f"nice can't be set to {config.nice}"
        resources.set_nice(config.nice)
        resources.make_room(config.limits)
        problem = "it could not be started"
        account = accounts.account_of(config)
        if config.terminal and child.argv is None:
            terminal.take(account.pw_uid)
        os.dup2(pipes["child_stdout"], 1)
        os.dup2(pipes["child_stdout" if config.redirect_stderr else "child_stderr"], 2)
        directory = directory_of(config)
        work_roots = _work_roots(config)
        inherited = inherited_by(config, account)  # which depends on the stack's user
        problem = f'it could not become the user "{config.user}"'
        _switch_user(account)
        os.umask(config.umask)
        problem = f"Working directory '{directory}' can't be entered"
        os.chdir(directory)
        _check_work_roots(os.getcwd(), work_roots)  # the real path, in case of replaced folders
        problem = "its env_file can't be read"
        variables = _variables_of_files(config, child.failure_fd)
        environment = {**inherited, **variables, **variables_of(config, child.group)}
        environment.update(child.variables or {})
        problem = f"command can't be run: {argv[0]}"
        filename = os.fsencode(child.filename)
        arguments = list(map(os.fsencode, argv))
        encoded = {os.fsencode(name): os.fsencode(value) for name, value in environment.items()}
        resources.limit(config.limits)  # the last, since little may be possible after it
        os.execve(filename, arguments, encoded)
    except OSError as error:
        interpreter = _missing_interpreter(child.filename) if error.errno == errno.ENOENT else None
        problem = f"{problem}: {interpreter or describe(error)}"
        is_passing = is_shortage(error)
    except (ProcessException, resources.LimitTooHigh, env_files.EnvFileUnusable) as error:
        problem = error.args[0]
    finally:
        try:
            Failure(problem, is_passing).write(child.failure_fd)
        finally:
            os._exit(127)


def _variables_of_files(config: Any, kept: int) -> dict[str, str]:
    """Return the variables of the program's files; ``kept`` is the descriptor that stays open."""
    if not config.env_files:
        return {}
    env_files.close_inherited(kept)
    return env_files.read(config.env_files)


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


def inherited_by(config: Any, account: pwd.struct_passwd) -> dict[str, str]:
    """Return what a command gets from the stack, of whose environment only some variables are inherited."""
    passed = config.context.passed_environment
    environment = {name: os.environ[name] for name in passed if name in os.environ}
    environment.update(
        PATH=search_path.inherited(account.pw_name),
        HOME=account.pw_dir,
        USER=account.pw_name,
        LOGNAME=account.pw_name,
        SHELL=account.pw_shell or "/bin/sh",
    )
    return environment


def variables_of(config: Any, group: str) -> dict[str, str]:
    """Return the command's own variables, which win over those of files and what it inherits."""
    notified: dict[str, str] = {}
    if config.notifies:
        notified["NOTIFY_SOCKET"] = config.context.notices.address
    if config.watchdog_seconds is not None:
        notified["WATCHDOG_USEC"] = str(config.watchdog_seconds * 1_000_000)
    return {
        **config.variables,
        **notified,
        # These come last: a program's own variables must not replace them.
        "SUPERVISOR_ENABLED": "1",
        "SUPERVISOR_SERVER_URL": config.options.serverurl,
        "SUPERVISOR_GROUP_NAME": group,
        "SUPERVISOR_PROCESS_NAME": config.name,
    }


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
