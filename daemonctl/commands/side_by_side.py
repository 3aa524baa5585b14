"""One command on several hosts of a hub: a process for each host, and what all of them print as one text."""

import json
import os
import selectors
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Any

import click

from daemonctl import options, output
from daemonctl.commands import status
from daemonctl.problems import Absent

_VERBS = ("start", "stop", "restart", "reload", "signal", "enable", "disable", "rm")
_COMMANDS = (*_VERBS, "status", "describe", "logs", "events", "wait")
_AT_A_TIME = 8
_READ_BYTES = 65536


def command_for(name: str, pattern: str) -> click.Command:
    """Return the command that calls another one on the hosts whose names match."""

    @click.command(name, add_help_option=False, context_settings={"ignore_unknown_options": True})
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    @click.pass_context
    def command(context: click.Context, arguments: tuple[str, ...]) -> None:
        if name not in _COMMANDS:
            raise click.UsageError(f"'{name}' needs the name of one host.")
        hosts = _matching(context, pattern)
        if name == "rm" and sys.stdin.isatty() and not {"-y", "--yes", "--dry-run"} & set(arguments):
            click.confirm(f"Remove programs of {', '.join(hosts)}?", abort=True)
        display = _display_for(name, arguments, max(map(output.width, hosts)))
        codes = list(_run(context, [name, *arguments, *display.more_arguments], hosts, display))
        display.finish()
        sys.exit(max(codes))

    return command


def _matching(context: click.Context, pattern: str) -> list[str]:
    names = [str(host["name"]) for host in options.hub(context).get("hosts")["hosts"]]
    found = sorted(name for name in names if fnmatchcase(name, pattern))
    if not found:
        raise Absent(f"No host matches '{pattern}'")
    return found


class _Lines:
    """Shows lines as they come, each behind the name of its host."""

    more_arguments: Sequence[str] = ()

    def __init__(self, columns: int) -> None:
        self._columns = columns

    def line(self, host: str, text: str) -> None:
        """Show a line of standard output."""
        click.echo(f"{output.pad(host, self._columns)} | {text}")

    def finish(self) -> None:
        """Show what is known at the end only."""


class _Documents(_Lines):
    """Shows the documents of lines, each with its host in it."""

    def line(self, host: str, text: str) -> None:
        """Show a document."""
        click.echo(json.dumps({"host": host, **json.loads(text)}, ensure_ascii=False))


class _Whole(_Lines):
    """Shows the documents of all hosts as one list."""

    def __init__(self, columns: int) -> None:
        super().__init__(columns)
        self._texts: dict[str, list[str]] = {}

    def line(self, host: str, text: str) -> None:
        """Keep a line of the document of a host."""
        self._texts.setdefault(host, []).append(text)

    def documents(self) -> Iterator[dict[str, Any]]:
        """Yield what the hosts have told, in the order of their names."""
        for host, lines in sorted(self._texts.items()):
            document = json.loads("\n".join(lines))
            for each in document if isinstance(document, list) else [document]:
                yield {"host": host, **each}

    def finish(self) -> None:
        """Show the list."""
        click.echo(output.document(list(self.documents()), "json"))


class _Table(_Whole):
    """Shows the states of programs as one table."""

    more_arguments = ("-o", "json")

    def __init__(self, columns: int, *, wide: bool) -> None:
        super().__init__(columns)
        self._is_wide = wide

    def finish(self) -> None:
        """Show the table."""
        click.echo(status.table(list(self.documents()), wide=self._is_wide))


def _display_for(name: str, arguments: Sequence[str], columns: int) -> _Lines:
    form = _form_in(arguments)
    if form == "yaml":
        raise click.UsageError("Of several hosts documents are shown as JSON: -o json.")
    if name == "status" and form in (None, "table", "wide"):
        return _Table(columns, wide=form == "wide")
    if form == "json":
        return _Documents(columns) if name in ("logs", "events") else _Whole(columns)
    return _Lines(columns)


def _form_in(arguments: Sequence[str]) -> str | None:
    """Return the form of output that is asked for."""
    for number, argument in enumerate(arguments):
        if argument in ("-o", "--output"):
            return arguments[number + 1] if number + 1 < len(arguments) else None
        for begin in ("--output=", "-o"):
            if argument.startswith(begin):
                return argument.removeprefix(begin)
    return None


class _Child:
    """A process with the command for one host, and what it prints."""

    def __init__(self, context: click.Context, host: str, words: Sequence[str]) -> None:
        self.host = host
        pipes = [os.pipe(), os.pipe()]
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        self._pid = os.fork()
        if self._pid == 0:
            self._become(context, pipes, words)
        for _, end in pipes:
            os.close(end)
        self.outputs = [begin for begin, _ in pipes]  # standard output and standard error
        self._parts = [b"", b""]  # of lines that are not complete

    def _become(self, context: click.Context, pipes: list[tuple[int, int]], words: Sequence[str]) -> None:
        code = 1
        try:
            for number, (_, end) in enumerate(pipes, 1):
                os.dup2(end, number)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
            root = context.find_root()
            given = root.params.get("context")
            context_option = ["--context", given] if given else []
            root.command.main([*context_option, "--host", self.host, *words], prog_name=root.info_name)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except KeyboardInterrupt:
            code = 130
        finally:
            with suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def lines_of(self, number: int) -> list[str] | None:
        """Return the lines that have come on one of the outputs; None at its end, when it is closed."""
        received = os.read(self.outputs[number], _READ_BYTES)
        *lines, rest = (self._parts[number] + received).split(b"\n")
        self._parts[number] = rest if received else b""
        if not received and not rest:
            os.close(self.outputs[number])
            return None
        if not received:
            lines = [rest]
        return [line.decode(errors="replace") for line in lines]

    def end(self) -> None:
        """End it."""
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGTERM)

    def exit_code(self) -> int:
        """Wait for the end."""
        code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        return code if code >= 0 else 128 - code


def _run(
    context: click.Context, words: Sequence[str], hosts: Sequence[str], display: _Lines
) -> Iterator[int]:
    """Run the command on all hosts, a few at a time, and yield the exit codes.

    What follows something never ends, so it runs on all of them at once.
    """
    most = len(hosts) if {"-f", "--follow"} & set(words) else _AT_A_TIME
    waiting = list(hosts)
    running: dict[_Child, int] = {}  # how many of its outputs are open
    with selectors.DefaultSelector() as ready:
        try:
            while waiting or running:
                while waiting and len(running) < most:
                    child = _Child(context, waiting.pop(0), words)
                    running[child] = len(child.outputs)
                    for number, descriptor in enumerate(child.outputs):
                        ready.register(descriptor, selectors.EVENT_READ, (child, number))
                for key, _ in ready.select():
                    child, number = key.data
                    if not _show(child, number, display):
                        ready.unregister(key.fileobj)
                        running[child] -= 1
                        if not running[child]:
                            del running[child]
                            yield child.exit_code()
        finally:  # of Ctrl-C, for example
            for child in running:
                child.end()


def _show(child: _Child, number: int, display: _Lines) -> bool:
    """Show what has come on one of the outputs of a child; return whether more can come."""
    lines = child.lines_of(number)
    for line in lines or ():
        if number == 0:
            display.line(child.host, line)
        else:
            click.echo(f"{child.host}: {line}", err=True)
    return lines is not None
