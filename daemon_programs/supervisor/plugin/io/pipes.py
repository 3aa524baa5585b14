"""The descriptors between supervisord and a program that has no terminal."""

import contextlib
import os


def make_pipes(*, with_stderr: bool, with_stdin: bool = False) -> dict[str, int | None]:
    """Return the descriptors of both sides by name, as supervisord's ``make_pipes`` does.

    Without ``with_stdin`` standard input is at its end from the start: a program that reads would wait for
    ever for a pipe that is never written to.
    """
    with contextlib.ExitStack() as undo:

        def kept(*descriptors: int) -> tuple[int, ...]:
            for descriptor in descriptors:
                undo.callback(os.close, descriptor)
            return descriptors

        pipes: dict[str, int | None] = {"stdin": None}
        if with_stdin:
            pipes["child_stdin"], pipes["stdin"] = kept(*os.pipe())
        else:
            (pipes["child_stdin"],) = kept(os.open(os.devnull, os.O_RDONLY))
        pipes["stdout"], pipes["child_stdout"] = kept(*os.pipe())
        pipes["stderr"], pipes["child_stderr"] = kept(*os.pipe()) if with_stderr else (None, None)
        for ours in (pipes["stdin"], pipes["stdout"], pipes["stderr"]):
            if ours is not None:
                os.set_blocking(ours, False)
        undo.pop_all()
    return pipes
