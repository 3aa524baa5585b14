"""Put the measurement into docs/benchmarks.md."""

from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
_BEGIN, _END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"


def write(text: str) -> None:
    """Replace the measurement in the document."""
    before, _, rest = DOCUMENT.read_text().partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not end:
        raise ValueError(f"{DOCUMENT.name} has no place for the tables")
    DOCUMENT.write_text(f"{before}{_BEGIN}{text}\n{_END}{after}")
