"""The error of a stack that can't be started."""


class StackProblem(Exception):
    """The stack can't be started. The message is one sentence that says why."""
