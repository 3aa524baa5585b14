"""The rules of a program's terminal session (docs/contract.md, section 3)."""

from django.core.exceptions import ValidationError

from daemon_programs.supervisor.terminals import SHELLS, is_installed
from daemon_programs.validators import rules


def check_terminal(number: int | None, shell: str, interactive: bool | None) -> None:
    """The rules between the three fields."""
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
    if shell in SHELLS and not is_installed(shell):
        raise ValidationError(
            f"Terminal shell '{shell}' is not installed: on Debian and Ubuntu, apt install {shell}",
            rules.VANISHED,
        )
