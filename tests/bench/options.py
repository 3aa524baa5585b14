"""The command line of the benchmark."""

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path

import tests.bench
from tests.bench.arena import ROUNDS
from tests.bench.figures import ROWS
from tests.bench.sides import CHOICES


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=tests.bench.__doc__)
    parser.add_argument(
        "--rounds",
        type=_rounds,
        default=ROUNDS,
        metavar="N",
        help="how often operations are measured at most (15)",
    )
    parser.add_argument(
        "--sizes",
        type=_sizes,
        default=[0, 100, 300, 1000],
        metavar="N,N",
        help="how many other programs run (0,100,300,1000)",
    )
    parser.add_argument(
        "--rows",
        type=_some_of(ROWS),
        default=list(ROWS),
        metavar="NAME,NAME",
        help=f"what is measured (all): {', '.join(ROWS)}",
    )
    parser.add_argument(
        "--contenders",
        type=_some_of(CHOICES),
        metavar="NAME,NAME",
        help=f"who is measured (all; with --against only ours): {', '.join(CHOICES)}",
    )
    parser.add_argument(
        "--idle",
        type=_rounds,
        default=30,
        metavar="SECONDS",
        help="how long no request is made (30)",
    )
    parser.add_argument(
        "--load", type=_rounds, default=4, metavar="SECONDS", help="how long each load is put on (4)"
    )
    parser.add_argument(
        "--against",
        type=_clone,
        metavar="FOLDER",
        help="measure this project in another version too: a clone, or a work tree of git",
    )
    parser.add_argument(
        "--write", action="store_true", help="put tables and curves into docs/ (only without --against)"
    )
    options = parser.parse_args()
    if options.contenders is None:
        options.contenders = list(CHOICES) if options.against is None else ["ours"]
    if options.write and options.against is not None:
        parser.error("--write is for a comparison with others, not with --against")
    return options


def _rounds(text: str) -> int:
    return _at_least(1, text)


def _sizes(text: str) -> list[int]:
    return sorted({_at_least(0, part) for part in text.split(",")})


def _at_least(least: int, text: str) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least} up")
    return int(text)


def _some_of(choices: Iterable[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        chosen = text.split(",")
        for each in chosen:
            if each not in choices:
                raise argparse.ArgumentTypeError(f"{each!r} is none of {', '.join(choices)}")
        return chosen

    return parse


def _clone(text: str) -> Path:
    folder = Path(text).resolve()
    if not (folder / "manage.py").is_file():
        raise argparse.ArgumentTypeError(f"{text} is no clone of this project")
    return folder
