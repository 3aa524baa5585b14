"""``python -m tests.bench``: boot everything, measure, print a table, and clean up."""

import argparse
import contextlib
import os
import signal
import sys
from types import FrameType

import tests.bench
from tests.bench import report
from tests.bench.contenders import contenders
from tests.bench.measure import Times, measure, medians


def main() -> int:
    options = _options()
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # background jobs ignore the first
        signal.signal(signum, _interrupt)
    load = os.getloadavg()[0]
    try:
        times = _run(options.sizes, options.rounds)
    except KeyboardInterrupt:
        _report_progress("interrupted; everything is stopped and removed")
        return 130
    result = medians(times)
    table, circumstances = report.table(result), report.circumstances(options.rounds, load)
    print(f"{circumstances}\n\n{table}")
    print("\n".join(report.promises(result)))
    if options.write:
        report.write(f"{circumstances}\n\n{table}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=tests.bench.__doc__)
    parser.add_argument(
        "--rounds", type=_rounds, default=15, metavar="N", help="how often each operation is measured (15)"
    )
    parser.add_argument(
        "--sizes",
        type=_sizes,
        default=[0, 100, 300],
        metavar="N,N",
        help="how many idle programs are configured (0,100,300)",
    )
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    return parser.parse_args()


def _rounds(text: str) -> int:
    return _at_least(1, text)


def _sizes(text: str) -> list[int]:
    return sorted({_at_least(0, part) for part in text.split(",")})


def _at_least(least: int, text: str) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least} up")
    return int(text)


def _run(sizes: list[int], rounds: int) -> Times:
    """Run all sizes at the same time, so that other load on the machine affects them alike."""
    with contextlib.ExitStack() as running:
        try:
            arenas = {}
            for size in sizes:
                _report_progress(f"starting everything with {size} programs")
                arenas[size] = running.enter_context(contenders(size))
            return measure(arenas, rounds, _report_progress)
        finally:
            # A second Ctrl-C must not interrupt the clean-up.
            for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(signum, signal.SIG_IGN)
            _report_progress("stopping everything")


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _report_progress(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
