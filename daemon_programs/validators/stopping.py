"""Validate how a program is asked to end and to reload."""

from typing import Any

from django.core.exceptions import ValidationError

from daemon_programs.supervisor.processes.signals import RELOAD_SIGNALS
from daemon_programs.text import encodable
from daemon_programs.validators import rules

_SHAPE = 'Field \'reload\' must be {"signal": "HUP"}, {"command": "…"} or null'


def check_reload(reload: Any) -> None:
    """Require an object that names either a signal or a command."""
    if not isinstance(reload, dict) or len(reload) != 1:
        raise ValidationError(_SHAPE)
    [(key, value)] = reload.items()
    if key == "signal":
        if not isinstance(value, str) or value not in RELOAD_SIGNALS:
            raise ValidationError(f"Field 'reload' must have a signal of: {', '.join(RELOAD_SIGNALS)}")
    elif key == "command":
        _check_command(value)
    else:
        raise ValidationError(_SHAPE)


def _check_command(command: Any) -> None:
    if not isinstance(command, str):
        raise ValidationError("Field 'reload' must have a command that is a string")
    if encodable(command) != command:
        raise ValidationError("Field 'reload' must have a command that is valid Unicode text")
    arguments = rules.split_command(command, field="reload")
    if not arguments or not arguments[0].strip():
        raise ValidationError("Field 'reload' must have a command that is not empty")
    rules.check_command(command, field="reload")


def check_terminal_signals(terminal_id: int | None, stop_signal: str, reload: Any = None) -> None:
    """Refuse signals of one's own where a shell or tmux stands between: a terminal is hung up as a whole."""
    if terminal_id is None:
        return
    if stop_signal != "TERM":
        raise ValidationError({"stop_signal": "Field 'stop_signal' can't be combined with terminal_id"})
    if isinstance(reload, dict) and "signal" in reload:
        raise ValidationError({"reload": "Field 'reload' can't have a signal together with terminal_id"})
