"""Which of the stack's own processes work: the API, the event listener, the queue, the prober."""

from collections.abc import Mapping

from daemon_programs.supervisor.states import PartState

# supervisord calls a process running after a second, and starts one that ends again and again.
_STEADY_SECONDS = 10.0


def parts_up(stack: Mapping[str, PartState]) -> dict[str, bool]:
    """Return by name whether each part works."""
    return {name: _is_up(part) for name, part in stack.items()}


def _is_up(part: PartState) -> bool:
    """Return whether a part runs; one that was restarted must have run for a while, or it is a crash loop."""
    is_steady = not part["restarted"] or part["seconds"] >= _STEADY_SECONDS
    return part["state"] == "running" and is_steady
