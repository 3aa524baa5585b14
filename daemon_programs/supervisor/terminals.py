"""Terminal sessions for programs (contract, section 3): the command, wrapped into its shell.

Pure: from an argument list to an argument list. What the command names is always a program, never a
word of the shell, and its arguments reach it byte for byte.

- ``bash``, ``zsh``, ``fish``, ``sh``: the shell loads its start-up files, then becomes the command, or
  (interactive) runs it and stays. supervisord's plugin gives the process a terminal of its own.
- ``tmux``: a session that people can attach to. Its server has a socket in a folder of the stack's
  own; what the session prints goes to the program's log, and its exit code becomes the program's.
"""

import hashlib
import os
import shlex
import shutil
from pathlib import Path

from django.conf import settings

TMUX = "tmux"


SHELLS = ("bash", "zsh", "fish", "sh", TMUX)


# Commands that are of no use unless somebody types into them: the shell stays with them.
_INTERACTIVE = frozenset({*SHELLS, "dash", "ksh", "python", "python3", "ipython", "node", "irb", "psql"})


_RC = '[ -r "{file}" ] && . "{file}"; '


_BECOME = {
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


# $1 the folder, $2 the session, $3 what the pane runs; then the command, each argument quoted for sh.
# It goes by way of a file: tmux would take an argument's last `;` for its own, and no more than 16 KiB.
# The server may be killed at any time: nobody waits for another one to open the fifo, only for the end
# of what is in it.
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


# The pane waits until its output is being read, so that not a byte is lost.
_TMUX_PANE = """
tmux wait-for ready
. "$0/command"
(exec "$@")
echo "$?" > "$0/exit-code"
"""


# Users that nobody logs in as have a shell that says so and ends.
_TMUX_PANE_STAYS = (
    _TMUX_PANE
    + """
case "$SHELL" in ""|*/nologin|*/false) exec sh -i ;; esac
exec "$SHELL" -i
"""
)


def is_installed(shell: str) -> bool:
    return shutil.which(shell) is not None


def wrap(argv: list[str], number: int, shell: str, interactive: bool | None) -> list[str]:
    """The command in its terminal session."""
    shell = shell or default_shell()
    stays = _stays(argv) if interactive is None else interactive
    if shell == TMUX:
        pane = _TMUX_PANE_STAYS if interactive else _TMUX_PANE
        session = [str(folder_of(number)), session_name(number), pane]
        return ["sh", "-c", _TMUX_SESSION, "tmux-session", *session, *map(shlex.quote, argv)]
    script = _RUN_AND_STAY[shell] if stays else _BECOME[shell]
    flags = ["-l", "-i", "-c"] if stays else ["-l", "-c"]
    name = [] if shell == "fish" else [shell]  # fish has no $0
    return [shell, *flags, script, *name, *argv]


def default_shell() -> str:
    return "bash" if is_installed("bash") else "sh"


def session_name(number: int) -> str:
    return f"terminal-{number}"


def attach_command(number: int) -> str:
    """What people type to join a tmux session, as the program's user or as root."""
    return f"tmux -S {folder_of(number) / 'socket'} attach -t {session_name(number)}"


def folder_of(number: int) -> Path:
    """Where a tmux session has its socket: a folder that its user, and nobody else, can enter.

    Other users can't enter the state folder, and nobody but root can make what lies in /run.
    """
    if os.geteuid() != 0:
        return Path(settings.STATE_DIR) / "terminals" / str(number)
    stack = hashlib.sha256(str(settings.STATE_DIR).encode()).hexdigest()[:8]
    return Path("/run/hoody-daemon") / stack / str(number)


def _stays(argv: list[str]) -> bool:
    """Whether the command is a shell or an interpreter that nothing was given to."""
    return len(argv) == 1 and Path(argv[0]).name in _INTERACTIVE
