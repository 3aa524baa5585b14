"""``python -m tests.bench``: boot everything, measure, print tables, and clean up."""

import os
import signal
import sys
from types import FrameType

from tests.bench import document, drawing, report
from tests.bench.estimate import minutes
from tests.bench.options import parse
from tests.bench.run import SIGNALS, run
from tests.bench.sides import OURS, makers, names


def main() -> int:
    options = parse()
    for signum in SIGNALS:
        signal.signal(signum, _interrupt)
    load = os.getloadavg()[0]
    try:
        daemons = makers(options.contenders, options.against, _say)
        sides = names(options.contenders, options.against)
        _say(f"this takes up to about {minutes(options.sizes, len(daemons), options.rows)} minutes")
        seconds = {"idle_seconds": options.idle, "load_seconds": options.load}
        results = run(daemons, sides, options.sizes, options.rows, options.rounds, _say, **seconds)
    except KeyboardInterrupt:
        _say("interrupted; everything is stopped and removed")
        return 130
    text = "\n\n".join([report.circumstances(results, options.rounds, load), *report.tables(results, sides)])
    print(text)
    print("\n".join(report.promises(results)))
    if options.write:
        drawing.write(results, sides)
        document.write(f"{text}\n\n{drawing.markup()}")
    return 1 if any(key.contender == OURS for key in results.failures) else 0


def _interrupt(signum: int, frame: FrameType | None) -> None:
    for each in SIGNALS:  # another one must not interrupt the clean-up
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
