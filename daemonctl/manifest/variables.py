"""Variables in texts: `${NAME}`, `${NAME:-default}`, and `$$` for a dollar."""

import re
from collections.abc import Mapping

_FOUND = re.compile(r"\$(?:\$|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-[^}]*)?\}|(?P<broken>\{))")


class Undefined(Exception):
    """A variable has no value; the text names it."""


def has_variables(text: str) -> bool:
    """Return whether `fill` would change a text."""
    return _FOUND.search(text) is not None


def fill(text: str, environment: Mapping[str, str]) -> str:
    """Return a text with the values of its variables; raise Undefined.

    The default counts if the variable is not set or empty. Other dollars stay as they are.
    """

    def value(found: re.Match[str]) -> str:
        if found["broken"]:
            raise Undefined("'${' begins a variable, as ${NAME} or ${NAME:-default}; for a dollar write $$")
        if found["name"] is None:
            return "$"
        default = found["default"]
        if default is not None:
            return environment.get(found["name"]) or default.removeprefix(":-")
        if found["name"] not in environment:
            raise Undefined(f"the variable {found['name']} is not set, and has no default")
        return environment[found["name"]]

    return _FOUND.sub(value, text)
