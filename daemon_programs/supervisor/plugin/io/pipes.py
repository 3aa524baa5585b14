"""The descriptors between supervisord and a program that has no terminal."""

import contextlib
import os


def make_pipes(*, with_stderr: bool) -> dict[str, int | None]:
    """Return the descriptors of both sides by name, as supervisord's ``make_pipes`` does.

    Standard input is at its end from the start: a program that reads would wait for ever for a pipe that
    is never written to.
    """
    with contextlib.ExitStack() as undo:

        def kept(*descriptors: int) -> tuple[int, ...]:
            for descriptor in descriptors:
                undo.callback(os.close, descriptor)
            return descriptors

        (stdin,) = kept(os.open(os.devnull, os.O_RDONLY))
        pipes: dict[str, int | None] = {"stdin": None, "child_stdin": stdin}
        pipes["stdout"], pipes["child_stdout"] = kept(*os.pipe())
        pipes["stderr"], pipes["child_stderr"] = kept(*os.pipe()) if with_stderr else (None, None)
        for ours in (pipes["stdout"], pipes["stderr"]):
            if ours is not None:
                os.set_blocking(ours, False)
        undo.pop_all()
    return pipes
