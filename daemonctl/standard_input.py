"""Pass standard input on to a temporary program, as it comes."""

import codecs
import os
import stat
import threading
import time
from typing import IO

import click

from daemonctl.client import Client
from daemonctl.problems import Absent, Lost, Problem, Refused, Unreachable

_BYTES = 32 * 1024  # in one request, which takes 64 KiB
_PAUSE_SECONDS = 0.2
_FULL = 503  # the program does not read what waits for it already


def is_given(stream: IO[str]) -> bool:
    """Return whether there is input to pass on: not that of a terminal, and not that of `/dev/null`."""
    try:
        return not stat.S_ISCHR(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):  # it is closed
        return False


def pass_on(client: Client, route: str, descriptor: int) -> None:
    """Pass on what can be read from a descriptor, in a thread, until it or the program ends."""
    threading.Thread(target=_pass_on, args=(client, route, descriptor), daemon=True).start()


def _pass_on(client: Client, route: str, descriptor: int) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while piece := os.read(descriptor, _BYTES):
            if text := decoder.decode(piece):
                _write(client, route, {"text": text})
        decoder.decode(b"", final=True)
        _write(client, route, {"close": True})
    except Absent:
        pass  # the program has ended
    except (Problem, OSError, UnicodeDecodeError) as problem:
        # What is missing would change what the command does, so it does not go on without.
        reason = "it is not UTF-8" if isinstance(problem, UnicodeDecodeError) else str(problem)
        click.echo(f"Standard input can't be passed on: {reason}", err=True)
        _stop(client, route)


def _write(client: Client, route: str, body: dict[str, object]) -> None:
    """Write to the program; raise Absent if it has ended, and Lost if it is unknown what was written."""
    while not _is_written(client, route, body):
        time.sleep(_PAUSE_SECONDS)


def _is_written(client: Client, route: str, body: dict[str, object]) -> bool:
    try:
        client.post(f"{route}/input", body)
    except Lost:
        raise
    except Unreachable:
        return False  # nothing was sent
    except Refused as problem:
        if problem.status != _FULL and not _is_starting(client, route):
            raise Absent(problem.message) from None
        return False
    return True


def _is_starting(client: Client, route: str) -> bool:
    try:
        return client.get(f"{route}/status")["status"] == "starting"
    except Unreachable:
        return True


def _stop(client: Client, route: str) -> None:
    try:
        client.post(f"{route}/stop")
    except Problem as problem:
        click.echo(problem.message, err=True)
