"""Why the stack can't be started."""


class StackProblem(Exception):
    """Why the stack can't be started, in one sentence."""
