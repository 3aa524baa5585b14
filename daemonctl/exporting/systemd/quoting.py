"""Names, words and values as systemd reads them."""

import re
from collections.abc import Mapping, Sequence

_PLAIN = re.compile(r"[A-Za-z0-9_@=:,./+{}\[\]()*?~^&|!#<>-]+")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9:_.-]|^\.")


def unit_name(name: str) -> str:
    """Return a program's name as the name of a unit: other characters become `\\x20` and the like."""
    return _NOT_IN_NAMES.sub(lambda found: "".join(f"\\x{byte:02x}" for byte in found[0].encode()), name)


def word(text: str) -> str:
    """Return a word of a list, quoted if need be, without a meaning of `%`."""
    if text == ";":
        return "\\;"
    text = text.replace("%", "%%")
    if _PLAIN.fullmatch(text.replace("%", "")) and text[0] != "#":
        return text
    return '"' + "".join(_ESCAPES.get(sign) or _printable(sign) for sign in text) + '"'


def _printable(sign: str) -> str:
    return f"\\x{ord(sign):02x}" if ord(sign) < 32 or ord(sign) == 127 else sign


def command_line(arguments: Sequence[str]) -> str:
    """Return a command whose arguments are what they are: neither variables nor specifiers."""
    first, *others = arguments
    return " ".join([word(first), *(word(each.replace("$", "$$")) for each in others)])


def value(text: str) -> str:
    """Return a text that is the whole value of an option: a path, a description."""
    return " ".join(text.split("\n")).replace("%", "%%")


def environment_file(variables: Mapping[str, str]) -> str:
    """Return the content of a file of variables, in quotes that systemd and the daemon read alike."""
    return "".join(f"{name}={_quoted(text)}\n" for name, text in variables.items())


def _quoted(text: str) -> str:
    if "'" not in text and "\\" not in text:
        return f"'{text}'"
    return '"' + re.sub(r'(["\\$`])', r"\\\1", text) + '"'
