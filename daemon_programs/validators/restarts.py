"""Validate the fields that say when a program is restarted, and for how long."""

from typing import Any

from django.core.exceptions import ValidationError

START_SECONDS = (0, 3600)
START_RETRIES = (0, 10000)
RESTART_DELAY_SECONDS = (0, 3600)
RESTART_DELAY_MAX_SECONDS = (1, 86400)
STABLE_SECONDS = (1, 86400)
RESTART_LIMIT = (1, 10000)
MAX_RUNTIME_SECONDS = (1, 31_536_000)
EXIT_CODES = (0, 255)

EXIT_CODES_SENTENCE = (
    f"Field 'exit_codes' must be a list of one or more integers between {EXIT_CODES[0]} and {EXIT_CODES[1]}"
)


def check_exit_codes(codes: Any) -> None:
    """Require a list of exit codes, with one at least."""
    low, high = EXIT_CODES
    if (
        type(codes) is not list
        or not codes
        or not all(type(code) is int and low <= code <= high for code in codes)
    ):
        raise ValidationError(EXIT_CODES_SENTENCE)


def normalize_exit_codes(codes: Any) -> Any:
    """Return exit codes sorted, each once. What is no such list is left to `check_exit_codes`."""
    try:
        check_exit_codes(codes)
    except ValidationError:
        return codes
    return sorted(set(codes))


def check_delays(delay: int, longest: int) -> None:
    """Require that the first pause is not longer than the longest."""
    if delay > longest:
        raise ValidationError(
            f"Field 'restart_delay_seconds' must not be greater than restart_delay_max_seconds ({longest})"
        )


def check_max_runtime(start_seconds: int, max_runtime: int | None) -> None:
    """Require that a run can last long enough to be running."""
    if max_runtime is not None and start_seconds > max_runtime:
        raise ValidationError(
            f"Field 'start_seconds' must not be greater than max_runtime_seconds ({max_runtime})"
        )
