"""Write to the standard input of programs and temporary programs."""

from daemon_programs.exceptions import InputFull, NotRegistered, Refused
from daemon_programs.supervisor.gateway import supervisor
from daemon_programs.supervisor.states import InputRefusal

_SENTENCES: dict[InputRefusal, str] = {
    "no_pipe": "{label} can't be written to: its field 'stdin' is not 'pipe'",
    "not_running": "{label} is not running",
    "closed": "{label} takes no more input: its standard input is closed",
}


def write(group: str, process: str, label: str, *, text: str, close: bool) -> None:
    """Write a text to a process' standard input, and with ``close`` end it.

    Return without waiting for the program to read. ``label`` is what error messages call it. Raise Refused
    if it does not run or can't be written to, and InputFull if too much is waiting for it already; then
    nothing of the text is written.
    """
    try:
        refusal = supervisor.write_input(group, process, text, close=close)
    except NotRegistered:
        refusal = "not_running"  # what is not registered has no processes
    if refusal == "full":
        raise InputFull(f"{label} does not read its input: no more than 256 KiB can wait for it")
    if refusal is not None:
        raise Refused(_SENTENCES[refusal].format(label=label))
