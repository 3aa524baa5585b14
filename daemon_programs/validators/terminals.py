"""Validate the terminal session of a program (docs/contract.md, section 3)."""

from django.core.exceptions import ValidationError

from daemon_programs.supervisor.terminals import SHELLS, is_installed
from daemon_programs.validators import rules


def check_terminal(number: int | None, shell: str, interactive: bool | None) -> None:
    """Raise a ValidationError if the three fields don't fit together."""
    if number is None:
        if shell:
            raise ValidationError({"terminal_shell": "terminal_shell requires terminal_id to be set"})
        if interactive is not None:
            raise ValidationError(
                {"terminal_interactive": "terminal_interactive requires terminal_id to be set"}
            )
    elif shell and shell not in SHELLS:
        raise ValidationError(
            {"terminal_shell": f"Field 'terminal_shell' must be one of: {', '.join(SHELLS)}"}
        )


def check_shell(shell: str) -> None:
    """Raise a ValidationError for a shell that is not installed; `check_terminal` refuses unknown ones."""
    if shell in SHELLS and not is_installed(shell):
        raise ValidationError(
            f"Terminal shell '{shell}' is not installed: on Debian and Ubuntu, apt install {shell}",
            rules.VANISHED,
        )
