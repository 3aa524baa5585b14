"""What unquoted words of YAML stand for: as in YAML 1.2, without what its readers disagree about."""

import re

# Tags, the words that stand for them, and what these begin with.
RESOLVED = [
    (f"tag:yaml.org,2002:{tag}", re.compile(pattern), first)
    for tag, pattern, first in (
        ("null", r"(~|null|Null|NULL|)$", ["~", "n", "N", ""]),
        ("bool", r"(true|True|TRUE|false|False|FALSE)$", list("tTfF")),
        ("int", r"[-+]?(0|[1-9][0-9]*)$", list("-+0123456789")),
        ("float", r"[-+]?(0|[1-9][0-9]*)\.[0-9]*([eE][-+]?[0-9]+)?$", list("-+0123456789")),
        ("merge", r"<<$", ["<"]),
    )
]
_AMBIGUOUS = {
    "write true or false, or put it in quotes": re.compile(r"(?i)(yes|no|on|off)$"),
    "put it in quotes, or leave the zero out": re.compile(r"[-+]?0[0-9_]+$"),
    "put it in quotes": re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$"),
}


def advice_on(word: str) -> str | None:
    """Return what to write instead of an unquoted word that is ambiguous; None for others."""
    return next((advice for advice, pattern in _AMBIGUOUS.items() if pattern.match(word)), None)


def needs_quotes(text: str) -> bool:
    """Return whether a text would not be read as it is without quotes."""
    return advice_on(text) is not None or any(pattern.match(text) for _, pattern, _ in RESOLVED)
