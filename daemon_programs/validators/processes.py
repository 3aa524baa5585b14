"""Validate what a program's process finds when it is started."""

from django.core.exceptions import ValidationError

MEMORY_LIMIT_BYTES = (1024 * 1024, 2**53 - 1)  # the largest integer that JSON clients represent exactly
NULL, PIPE = STDIN = ("null", "pipe")


def check_stdin(stdin: str, terminal_id: int | None) -> None:
    """Raise a ValidationError for an unknown choice, and for a pipe in the place of a terminal."""
    if stdin not in STDIN:
        raise ValidationError({"stdin": f"Field 'stdin' must be one of: {', '.join(STDIN)}"})
    if stdin == PIPE and terminal_id is not None:
        raise ValidationError({"stdin": "Field 'stdin' can't be combined with terminal_id"})
