"""A file of process-compose: what all of its processes share, and its variables."""

import re
from pathlib import Path
from typing import Any

import yaml

from daemonctl.importing.commands import variable
from daemonctl.importing.env_files import as_dotenv
from daemonctl.importing.program import Imported, Wishes, text_of
from daemonctl.problems import Problem

_VARIABLE = re.compile(
    r"\$(?:\$|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:?[-=][^}]*)?\}|(?P<broken>\{[^}]*\}?))"
)
_DEFAULT_SHELL = {"shell_command": "bash", "shell_argument": "-c"}
_OF_PROJECT = {
    "version", "name", "processes", "environment", "shell", "vars", "log_level", "log_length",
    "log_format", "is_strict", "disable_env_expansion", "is_tui_disabled", "ordered_shutdown",
}  # fmt: skip


class Project:
    """A file: what all of its processes share."""

    def __init__(self, file: Path, wishes: Wishes) -> None:
        self.file = file
        self.folder = str(file.absolute().parent)
        self.wishes = wishes
        self.imported = Imported()
        self.dotenv_file = file.absolute().parent / ".env"
        self.dotenv = as_dotenv(text_of(self.dotenv_file)) if self.dotenv_file.exists() else {}
        text = text_of(file)
        text = text if _disables_expansion(text) else self._expanded(text)
        document = self._load(text)
        if not isinstance(document.get("processes"), dict) or not document["processes"]:
            raise Problem(f"{file} has no processes")
        self.processes: dict[str, Any] = map_of(document["processes"], f"{file}: processes")
        self.shell = _DEFAULT_SHELL | map_of(document.get("shell"), f"{file}: shell")
        self.vars = map_of(document.get("vars"), f"{file}: vars")
        self.environment = environment_of(document.get("environment"), str(file))
        self._lines = _lines_of_processes(text)
        self.imported.note(
            "process-compose hands the variables of the terminal on to processes, such as PATH. Here they "
            "get only those that are named, HOME, USER, LOGNAME, SHELL and a PATH"
        )
        self.imported.note(f"process-compose runs as who calls it: user is '{wishes.default_user}' (--user)")
        lacking = [key for key in document if key not in _OF_PROJECT and not key.startswith("x-")]
        if lacking:
            self.imported.note(f"No counterpart: {', '.join(lacking)}")

    def line(self, process: str) -> int:
        """Return the line where a process begins."""
        return self._lines.get(process, 1)

    def _load(self, text: str) -> dict[str, Any]:
        try:
            document = yaml.safe_load(text)
        except yaml.MarkedYAMLError as problem:
            line = problem.problem_mark.line + 1 if problem.problem_mark else 1
            raise Problem(f"{self.file}:{line}: {problem.problem}") from None
        except yaml.YAMLError as problem:
            raise Problem(f"{self.file}: {' '.join(str(problem).split())}") from None
        if not isinstance(document, dict):
            raise Problem(f"{self.file} is not a map with the key 'processes'")
        return map_of(document, str(self.file))

    def _expanded(self, text: str) -> str:
        """Return the text with the variables of `.env`; others are left to who applies the file."""

        def value(found: re.Match[str]) -> str:
            name, default = found["name"], found["default"]
            if found["broken"]:
                line = text.count("\n", 0, found.start()) + 1
                raise Problem(f"{self.file}:{line}: {found[0]} is more than a variable and its default")
            if name is None:
                return "$"
            if name in self.dotenv:
                return self.dotenv[name]
            # What has no value is empty for process-compose; `daemonctl apply` would refuse it.
            return variable(name, default.lstrip(":").lstrip("-=") if default else "")

        return _VARIABLE.sub(value, text)


def map_of(value: Any, what: str) -> dict[str, Any]:
    """Return a map of YAML with texts as its keys, which may be numbers; raise Problem if it is none."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Problem(f"{what} is not a map")
    return {str(key): each for key, each in value.items()}


def environment_of(value: Any, where: str) -> dict[str, str]:
    """Return variables that are listed as `NAME=value`, or as a map."""
    if value is None:
        return {}
    if isinstance(value, dict):
        return {str(name): "" if each is None else str(each) for name, each in value.items()}
    if not isinstance(value, list) or not all(isinstance(each, str) and "=" in each for each in value):
        raise Problem(f"{where}: environment is not a list of NAME=value")
    return {name: text for name, _, text in (each.partition("=") for each in value)}


def _disables_expansion(text: str) -> bool:
    return re.search(r"(?m)^disable_env_expansion:\s*true\b", text) is not None


def _lines_of_processes(text: str) -> dict[str, int]:
    """Return the lines where processes begin, as far as that can be told without their values."""
    try:
        root = yaml.compose(text)
    except yaml.YAMLError:
        return {}
    if not isinstance(root, yaml.MappingNode):
        return {}
    for key, value in root.value:
        if key.value == "processes" and isinstance(value, yaml.MappingNode):
            return {each.value: each.start_mark.line + 1 for each, _ in value.value}
    return {}
