"""Read a file of programs: YAML or JSON, with variables from the environment.

YAML is read as people mean it: what readers of YAML disagree about (`yes`, `022`, `12:30`) is an error that
names the line, and so is a key that is given twice.
"""

import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import yaml
from yaml import MappingNode, Node, ScalarNode, SequenceNode

from daemonctl.manifest import scalars
from daemonctl.manifest.variables import Undefined, fill, has_variables
from daemonctl.problems import Problem

KEYS = ("set", "env_file", "defaults", "programs")
_FOR_EDITORS = "$schema"
STANDARD_INPUT = "-"

_TEXT = "tag:yaml.org,2002:str"
_MERGE = "tag:yaml.org,2002:merge"
# Maps whose values are texts: an unquoted variable in them stays one, whatever it looks like.
_MAPS_OF_TEXTS = ("environment", "labels")
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
# An escape in JSON; a second one may make the first a whole character.
_ESCAPE = re.compile(r"(?is)\\(?:(?P<code>u[0-9a-f]{4}(?:\\ud[c-f][0-9a-f]{2})?)|.)")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Resolve plain scalars as YAML 1.2 does: no dates, no octal numbers, no `yes`."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}


for _tag, _pattern, _first in scalars.RESOLVED:
    _Loader.add_implicit_resolver(_tag, _pattern, _first)


def read(name: str, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the content of a file, or of standard input for `-`, with its variables filled in.

    It is what `programs/apply` takes. ``env_file`` is left out: it names a file whose variables count where
    the environment has none of that name. Raise Problem for anything that is wrong.
    """
    try:
        text = sys.stdin.read() if name == STANDARD_INPUT else Path(name).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as problem:
        raise Problem(f"{name} can't be read: {getattr(problem, 'strerror', None) or problem}") from None
    folder = Path() if name == STANDARD_INPUT else Path(name).parent
    shown = "standard input" if name == STANDARD_INPUT else name
    return parse(text, os.environ if environment is None else environment, name=shown, folder=folder)


def parse(
    text: str, environment: Mapping[str, str], *, name: str = "the file", folder: Path = Path()
) -> dict[str, Any]:
    """Return the content of a text, as `read` does; ``folder`` is what a relative `env_file` is in."""
    if text.lstrip().startswith("{"):
        text = _plain_json(text)
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if not isinstance(node, MappingNode):
            raise Problem(f"{name} is no map with the key 'programs'")
        _check_keys(node, name)
        environment = {**_variables_of_file(node, name, folder), **environment}
        _Filled(loader, name, environment).visit(node, ())
        document = loader.construct_document(node)
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        where = f"{name}, line {mark.line + 1}" if mark else name
        raise Problem(f"{where}: {problem.problem or problem.context}") from None
    except yaml.YAMLError as problem:
        raise Problem(f"{name} is neither YAML nor JSON: {' '.join(str(problem).split())}") from None
    except RecursionError:
        raise Problem(f"{name} is nested too deeply") from None
    return {key: value for key, value in document.items() if key not in ("env_file", _FOR_EDITORS)}


def _check_keys(node: MappingNode, name: str) -> None:
    """Refuse keys that a file does not have, and a file without programs."""
    keys = [key.value for key, _ in node.value]
    for key, _ in node.value:
        if key.value not in (*KEYS, _FOR_EDITORS):
            known = ", ".join(KEYS)
            raise Problem(f"{_place(name, key)}: '{key.value}' is not one of {known}")
    if "programs" not in keys:
        raise Problem(f"{name} has no key 'programs'")


def _variables_of_file(node: MappingNode, name: str, folder: Path) -> dict[str, str]:
    """Return the variables of the file that `env_file` names, if it names one."""
    named = [value for key, value in node.value if key.value == "env_file"]
    if not named:
        return {}
    if not isinstance(named[0], ScalarNode) or not named[0].value:
        raise Problem(f"{_place(name, named[0])}: env_file must be the path of a file of variables")
    path = folder / named[0].value
    from dotenv import dotenv_values

    try:
        with path.open(encoding="utf-8") as stream:
            found = dotenv_values(stream=stream, interpolate=False)
    except (OSError, UnicodeDecodeError) as problem:
        why = getattr(problem, "strerror", None) or problem
        raise Problem(f"{_place(name, named[0])}: {path} can't be read: {why}") from None
    return {key: value for key, value in found.items() if value is not None}


class _Filled:
    """Check the nodes of a file, and fill their variables in."""

    def __init__(self, loader: _Loader, name: str, environment: Mapping[str, str]) -> None:
        self._loader = loader
        self._name = name
        self._environment = environment
        self._done: set[int] = set()  # nodes that several places refer to
        self._above: set[int] = set()

    def visit(self, node: Node, path: tuple[str, ...]) -> None:
        """Check a node and all below it; ``path`` has the keys that lead to it."""
        if id(node) in self._above:
            raise self._problem(node, "it contains itself")
        if id(node) in self._done:
            return
        self._done.add(id(node))
        self._above.add(id(node))
        if isinstance(node, MappingNode):
            self._visit_map(node, path)
        elif isinstance(node, SequenceNode):
            for each in node.value:
                self.visit(each, path)
        elif isinstance(node, ScalarNode):
            self._visit_scalar(node, path)
        self._above.discard(id(node))

    def _visit_map(self, node: MappingNode, path: tuple[str, ...]) -> None:
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                raise self._problem(key, "a key must be a text")
            if key.tag != _MERGE:
                key.tag = _TEXT
                if key.value in seen:
                    raise self._problem(key, f"the key '{key.value}' is there twice")
                seen.add(key.value)
            self.visit(value, (*path, key.value))

    def _visit_scalar(self, node: ScalarNode, path: tuple[str, ...]) -> None:
        is_plain = not node.style
        if is_plain and (advice := scalars.advice_on(node.value)):
            raise self._problem(node, f"'{node.value}' means different things in YAML: {advice}")
        if path == ("env_file",) or not has_variables(node.value):
            return
        try:
            node.value = fill(node.value, self._environment)
        except Undefined as problem:
            raise self._problem(node, str(problem)) from None
        if is_plain:
            is_text = any(key in _MAPS_OF_TEXTS for key in path)
            node.tag = _TEXT if is_text else self._loader.resolve(ScalarNode, node.value, (True, False))

    def _problem(self, node: Node, sentence: str) -> Problem:
        return Problem(f"{_place(self._name, node)}: {sentence}")


def _place(name: str, node: Node) -> str:
    return f"{name}, line {node.start_mark.line + 1}"


def _plain_json(text: str) -> str:
    r"""Return JSON as YAML that means the same: without tabs, and with characters for most of its escapes.

    YAML knows no halves of characters (`\ud83d\ude00`), takes others as they are only if they are escaped,
    and has keys of limited length.
    """

    def character(escape: re.Match[str]) -> str:
        meant = json.loads(f'"{escape[0]}"') if escape["code"] else ""
        is_plain = meant.isprintable() and meant not in ("", '"', "\\")
        return meant if is_plain or meant > "\uffff" else escape[0]

    text = _ESCAPE.sub(character, text.replace("\t", " "))
    return _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
