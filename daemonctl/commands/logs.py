"""``logs``: what programs print, merged over several programs."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import click

from daemonctl import follow, options, output, selection
from daemonctl.client import Client
from daemonctl.selection import Program

_MOST_LINES = 10000
_STREAMS = ("stdout", "stderr")
_MOST_FOLLOWED = 100  # logs of one stream


@click.command()
@options.selectors
@options.everything
@click.option("-f", "--follow", "follows", is_flag=True, help="Go on as lines are written, until Ctrl-C.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0, _MOST_LINES),
    help="So many of the last lines, over all programs: 100, with --since or --until as many as there are.",
)
@options.since
@click.option("--until", metavar="TIME", help="Only lines up to then.")
@click.option("-g", "--grep", metavar="TEXT", help="Only lines with this text.")
@click.option("-i", "--ignore-case", is_flag=True, help="For --grep, upper and lower case are the same.")
@click.option("--stdout", "only", flag_value="stdout", help="Only standard output.")
@click.option("--stderr", "only", flag_value="stderr", help="Only standard error.")
@click.option(
    "-o", "--output", "form", type=click.Choice(["text", "json"]), default="text", help="The form: text."
)
@click.pass_context
def logs(
    context: click.Context,
    selectors: tuple[str, ...],
    everything: bool,
    follows: bool,
    lines: int | None,
    since: str | None,
    until: str | None,
    grep: str | None,
    ignore_case: bool,
    only: str | None,
    form: str,
) -> None:
    """Show the last lines of logs, merged by time; without selectors of all programs.

    Of several programs each line begins with the name of its program, and with `!` instead of `|` if it is of
    standard error. Logs are merged line by line if their programs have `log_timestamps`; others stay together
    where they were last written. With -f lines are shown as they come; a lost connection is made again, and
    no line is lost or repeated. `-o json` prints a document per line.
    """
    if follows and until:
        raise click.UsageError("--until can't be combined with --follow.")
    client = options.client(context)
    selectors = options.or_all(selectors, everything)
    chosen = selection.choose(client, selectors, everything=not selectors)
    programs = [program for program in chosen if not program.is_temporary]
    temporary = [program for program in chosen if program.is_temporary]
    given = {"since": since, "until": until, "grep": grep, "ignore_case": ignore_case or None}
    filters = {key: value for key, value in given.items() if value is not None}
    if temporary and filters:
        raise click.UsageError("Logs of temporary programs are shown as they are: without filters.")
    if lines is None:
        lines = _MOST_LINES if since or until else 100
    show = _Display(chosen, form)
    if follows:
        show.align([program.longest_name for program in chosen if program.state != "disabled"])
        query = {**filters, "lines": lines}
        sources = _streams(programs, selectors, only, query) if programs or not temporary else []
        sources += [_stream_of(each, stream, lines) for each in temporary for stream in _types(only)]
        for number, event in follow.merged(client, sources, options.report):
            show.event(event, sources[number])
    elif lines:
        if programs:
            query = {"type": only or "both", "lines": lines, **filters}
            answer = client.get("logs", select=_words(selectors), **query)
            show.align([_name(line) for line in answer["lines"]] + [each.name for each in temporary])
            show.answer(answer)
        for each in temporary:
            for line in _temporary_lines(client, each, only, lines):
                show.line(line)


def _types(only: str | None) -> Sequence[str]:
    return (only,) if only else _STREAMS


def _words(selectors: tuple[str, ...]) -> list[str]:
    """Return the selectors that the API knows, none of which means all programs."""
    return [word for word in selectors if not selection.is_temporary(word)]


def _streams(
    programs: Sequence[Program], selectors: tuple[str, ...], only: str | None, query: dict[str, Any]
) -> list[follow.Source]:
    """Return the streams of programs: one, or as many as it takes.

    One is told the selectors, so that it finds programs that match later.
    """
    shares: list[list[Program]] = []
    room = 0
    for program in programs:
        logs = program.processes * len(_types(only))
        if logs > room:
            shares.append([])
            room = _MOST_FOLLOWED
        shares[-1].append(program)
        room -= logs
    words = [_words(selectors)]
    if len(shares) != 1:
        words = [[str(program.id) for program in share] for share in shares]
    return [follow.Source("logs/stream", {"select": each, "type": only or "both", **query}) for each in words]


def _stream_of(program: Program, stream: str, lines: int) -> follow.Source:
    return follow.Source(f"{program.route}/logs/stream", {"type": stream, "lines": lines}, program.name)


def _temporary_lines(
    client: Client, program: Program, only: str | None, lines: int
) -> Iterator[dict[str, Any]]:
    for stream in _types(only):
        text = client.get(f"{program.route}/logs", type=stream, lines=lines)["logs"]
        for line in text.split("\n") if text else ():
            yield {"program": program.name, "id": program.id, "stream": stream, "time": None, "line": line}


class _Display:
    """Prints lines, each with the coloured name of its program if there are several."""

    def __init__(self, chosen: Sequence[Program], form: str) -> None:
        self._form = form
        self._has_names = len(chosen) != 1 or chosen[0].has_instances
        self._columns = 0
        self._colors: dict[str, str] = {}

    def align(self, names: Sequence[str]) -> None:
        """Make room for names."""
        self._columns = max(map(output.width, names), default=0)

    def event(self, event: Any, source: follow.Source) -> None:
        """Print what an event of a stream tells."""
        if event.name == "lines":
            self.answer(event.data)
        elif event.name == "line":  # of a temporary program
            stream = source.query["type"]
            self.line({"program": source.name, "stream": stream, "time": None, "line": event.data["line"]})
        elif event.name == "error":
            click.echo(f"{_name(event.data) or source.name}: {event.data['error']}", err=True)
        elif event.name == "reset" and event.data.get("missed"):
            click.echo(f"{_name(event.data) or source.name}: lines are missing here", err=True)

    def answer(self, answer: dict[str, Any]) -> None:
        """Print the lines of an answer, and what is missing of them."""
        for line in answer["lines"]:
            self.line(line)
        for problem in answer.get("problems", ()):
            click.echo(f"{_name(problem)}: {problem['error']}", err=True)
        if answer.get("truncated"):
            click.echo("Older lines may be missing: name fewer programs, or a shorter time.", err=True)

    def line(self, line: dict[str, Any]) -> None:
        """Print a line."""
        if self._form == "json":
            click.echo(json.dumps(line, ensure_ascii=False))
            return
        text = f"{line['time']} {line['line']}" if line["time"] else line["line"]
        click.echo(self._prefix(line) + text if self._has_names else text)

    def _prefix(self, line: dict[str, Any]) -> str:
        name = _name(line)
        color = self._colors.setdefault(name, output.color_of(len(self._colors)))
        mark = "!" if line["stream"] == "stderr" else "|"
        return f"{output.paint(output.pad(name, self._columns), color)} {mark} "


def _name(about: dict[str, Any]) -> str:
    """Return what a log is called: by its program, or by its instance."""
    key = about.get("port", about.get("instance"))
    name = str(about.get("program", ""))
    return name if key is None else f"{name}_{key}"
