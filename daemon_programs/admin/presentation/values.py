"""JSON as people read it: objects as tables, lists as lines, and secrets folded."""

from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

# Values are hidden if their name has one of these words, in any case of its letters.
SECRET_WORDS = ("SECRET", "TOKEN", "PASSWORD", "PASSWD", "KEY", "CREDENTIAL", "AUTHORIZATION")
# The objects whose values may be secret.
WITH_SECRETS = ("environment", "headers")


def readable(name: str, value: Any) -> SafeString:
    """Return a value as HTML; ``name`` is that of its field, or of its key in an object."""
    if value is None or value in ([], {}):
        return format_html('<span class="quiet">{}</span>', "none")
    if isinstance(value, dict):
        rows = ((key, _cell(name, key, each)) for key, each in value.items())
        body = format_html_join("", '<tr><th scope="row">{}</th><td>{}</td></tr>', rows)
        return format_html('<table class="readable"><tbody>{}</tbody></table>', body)
    if isinstance(value, list):
        if all(type(each) is int for each in value):
            return format_html("{}", ", ".join(map(str, value)))
        items = format_html_join("", "<li>{}</li>", ([readable("", each)] for each in value))
        return format_html('<ul class="readable">{}</ul>', items)
    if isinstance(value, bool):
        return format_html("{}", "yes" if value else "no")
    return format_html("{}", value)


def _cell(name: str, key: str, value: Any) -> SafeString:
    shown = readable(key, value)
    if name in WITH_SECRETS and any(word in key.upper() for word in SECRET_WORDS):
        return format_html("<details><summary>show</summary><div>{}</div></details>", shown)
    return shown
