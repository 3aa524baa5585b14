"""Wrap commands in terminal sessions (docs/contract.md, section 3): argument list in, argument list out.

The command is always looked up as a program, never as a keyword or function of the shell, and its
arguments reach it byte for byte.

- ``bash``, ``zsh``, ``fish``, ``sh``: the shell loads its start-up files, then execs the command, or
  (interactive) runs it and stays. The plugin gives the process a terminal of its own.
- ``tmux``: a session that people can attach to. Its server has a socket in a folder of the stack. The
  session's output goes to the program's log, and its exit code is the program's.
"""

import hashlib
import os
import shlex
import shutil
from pathlib import Path

from django.conf import settings

TMUX = "tmux"
SHELLS = ("bash", "zsh", "fish", "sh", TMUX)

# Commands that need a person at the keyboard: with them a session is interactive by default.
_INTERACTIVE = frozenset({*SHELLS, "dash", "ksh", "python", "python3", "ipython", "node", "irb", "psql"})

_RC = '[ -r "{file}" ] && . "{file}"; '
_EXEC = {
    "bash": _RC.format(file="$HOME/.bashrc") + 'exec "$@"',
    "zsh": _RC.format(file="${ZDOTDIR:-$HOME}/.zshrc") + 'exec command "$@"',
    "fish": "exec $argv",
    "sh": 'exec "$@"',
}
_RUN_AND_STAY = {
    "bash": _RC.format(file="$HOME/.bashrc") + '(exec "$@"); exec bash -i',
    "zsh": '(exec command "$@"); exec zsh -i',
    "fish": "status job-control full; command $argv; exec fish -i",
    "sh": '(exec "$@"); exec sh -i',
}

# Arguments: $1 the folder, $2 the session's name, $3 the script of the pane, then the command, each
# argument quoted for sh. The command is passed in a file, since tmux takes a `;` at the end of an argument
# for its own syntax and accepts at most 16 KiB.
# The tmux server may be killed at any time, so opening the fifo must not block: `<>` never does. The script
# waits only for the end of the data.
_TMUX_SESSION = """
folder=$1 session=$2 pane=$3
shift 3
mkfifo "$folder/output" && printf ' %s' set -- "$@" > "$folder/command" || exit 1
tmux -S "$folder/socket" -f /dev/null new-session -d -s "$session" -x 200 -y 50 -- \
    sh -c "$pane" "$folder" || exit 1
exec 3<> "$folder/output" 4< "$folder/output"
cat <&4 3<&- 4<&- &
exec 4<&-
tmux -S "$folder/socket" pipe-pane -t "$session" \
    "exec 1<> '$folder/output'; tmux -S '$folder/socket' wait-for -S piped < /dev/null; exec cat" &&
    tmux -S "$folder/socket" wait-for piped
exec 3<&-
tmux -S "$folder/socket" wait-for -S ready
wait
read -r code < "$folder/exit-code" || code=1
exit "$code"
"""

# The pane waits until its output is being read, so that no output is lost at the beginning. At the end it
# closes the terminal and leaves it to tmux to find that: when a pane's process ends first, tmux drops what
# the kernel hasn't handed over yet. A process of the background may hold the terminal open, hence the limit.
_TMUX_PANE = """
tmux wait-for ready
. "$0/command"
(exec "$@")
echo "$?" > "$0/exit-code"
"""
_TMUX_PANE_ENDS = """
exec timeout 2 tmux wait-for ended < /dev/null > /dev/null 2>&1
"""

# System users have a login shell that only prints a message and exits.
_TMUX_PANE_STAYS = """
case "$SHELL" in ""|*/nologin|*/false) sh -i ;; *) "$SHELL" -i ;; esac
"""


def is_installed(shell: str) -> bool:
    """Return whether a shell is found in the PATH."""
    return shutil.which(shell) is not None


def wrap(argv: list[str], number: int, shell: str, interactive: bool | None) -> list[str]:
    """Return the arguments that run a command in the terminal session of a number.

    ``shell`` is empty for the default. ``interactive`` None decides by the command.
    """
    shell = shell or default_shell()
    stays = _stays(argv) if interactive is None else interactive
    if shell == TMUX:
        pane = _TMUX_PANE + (_TMUX_PANE_STAYS if interactive else "") + _TMUX_PANE_ENDS
        session = [str(folder_of(number)), session_name(number), pane]
        return ["sh", "-c", _TMUX_SESSION, "tmux-session", *session, *map(shlex.quote, argv)]
    script = _RUN_AND_STAY[shell] if stays else _EXEC[shell]
    flags = ["-l", "-i", "-c"] if stays else ["-l", "-c"]
    name = [] if shell == "fish" else [shell]  # fish has no $0
    return [shell, *flags, script, *name, *argv]


def default_shell() -> str:
    """Return the shell of sessions that name none: bash if it is installed, otherwise sh."""
    return "bash" if is_installed("bash") else "sh"


def session_name(number: int) -> str:
    """Return tmux's name of a session."""
    return f"terminal-{number}"


def attach_command(number: int) -> str:
    """Return the shell command that attaches to a tmux session, for the program's user and root."""
    return f"tmux -S {folder_of(number) / 'socket'} attach -t {session_name(number)}"


def folder_of(number: int) -> Path:
    """Return the folder of a tmux session's socket, which only the program's user and root can enter.

    For a stack that runs as root it is in /run: programs of other users can't enter the state folder, and
    only root can create folders in /run.
    """
    if os.geteuid() != 0:
        return Path(settings.STATE_DIR) / "terminals" / str(number)
    stack = hashlib.sha256(str(settings.STATE_DIR).encode()).hexdigest()[:8]
    return Path("/run/hoody-daemon") / stack / str(number)


def _stays(argv: list[str]) -> bool:
    """Return whether a command is a shell or an interpreter without arguments."""
    return len(argv) == 1 and Path(argv[0]).name in _INTERACTIVE
