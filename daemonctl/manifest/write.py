"""Write programs as a file that `daemonctl apply` reads."""

import re
from typing import Any

import yaml

from daemonctl.manifest import scalars

# A dollar that the reader would not take as it is.
_DOLLAR = re.compile(r"\$(?=[${])")
_OTHER_BREAKS = re.compile(r"[\r\x85\u2028\u2029]")  # which YAML would turn into plain ones
_ANY_WIDTH = 100_000  # of lines: a command is never broken


class _Dumper(yaml.SafeDumper):
    """Write lists inside of maps indented, long lines whole, and texts with line breaks as blocks."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _write_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = None
    if _OTHER_BREAKS.search(text):
        style = '"'
    elif scalars.needs_quotes(text):
        style = "'"
    elif "\n" in text.rstrip("\n"):
        style = "|"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _write_text)


def to_yaml(document: Any) -> str:
    """Return a document as YAML, from which `read` makes the same document: dollars are escaped if need be.

    An empty line separates the programs of its list.
    """
    text: str = yaml.dump(
        escaped(document), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_ANY_WIDTH
    )
    return re.sub(r"(?<!^programs:)\n(?=  - name:)", "\n\n", text, flags=re.MULTILINE)


def schema_comment(url: str) -> str:
    """Return the first line of a file, from which editors learn what it may have."""
    return f"# yaml-language-server: $schema={url.rstrip('/')}/api/programs.schema.json\n"


def escaped(value: Any) -> Any:
    """Return a value with `$$` in its texts where a reader would look for a variable."""
    if isinstance(value, str):
        return _DOLLAR.sub("$$", value)
    if isinstance(value, dict):
        return {key: escaped(each) for key, each in value.items()}
    if isinstance(value, list):
        return [escaped(each) for each in value]
    return value
