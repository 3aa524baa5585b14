"""Choose programs by selectors: names, globs, ids, ``label=value``, ``@state``."""

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from daemonctl.client import Client
from daemonctl.problems import Absent

STATES = ("running", "starting", "backoff", "stopping", "stopped", "exited", "fatal", "unknown", "disabled")
_SIDE_BY_SIDE = 8
_TEMPORARY = re.compile(r"quick_\d+")

Item = TypeVar("Item")
Result = TypeVar("Result")


class Program:
    """A program as `GET programs` has it, or a temporary program by its id."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.name = str(document["name"])
        self.id = document["id"]
        self.is_temporary = isinstance(self.id, str)

    @property
    def route(self) -> str:
        """The beginning of its routes."""
        return f"quick-start/{self.id}" if self.is_temporary else f"programs/{self.id}"

    @property
    def has_instances(self) -> bool:
        """Whether it has several processes, which have to be named."""
        return "port_range" in self.document or self.document.get("numprocs", 1) > 1

    @property
    def key_name(self) -> str:
        """What its instances are named by: `port` or `instance`."""
        return "port" if "port_range" in self.document else "instance"

    @property
    def processes(self) -> int:
        """How many processes it may have."""
        ports = self.document.get("port_range")
        return ports["end"] - ports["start"] + 1 if ports else int(self.document.get("numprocs", 1))

    @property
    def longest_name(self) -> str:
        """The name of its last instance, or its own if it has one process."""
        if not self.has_instances:
            return self.name
        ports = self.document.get("port_range")
        return f"{self.name}_{ports['end'] if ports else self.processes - 1}"

    @property
    def instances(self) -> list[dict[str, Any]]:
        """Its instances that are not stopped."""
        return list(self.document.get("status", {}).get("instances", ()))

    @property
    def state(self) -> str:
        """Its status as one word, by the rules of `GET status`; `disabled` if it is."""
        status = self.document.get("status", {})
        if "status" in status:
            word = str(status["status"])
        else:
            words = [each["status"] for each in self.instances]
            word = next(
                (word for word in ("running", "starting", "backoff", "stopping") if word in words), ""
            )
            if not word:
                all_fatal = words.count("fatal") == status.get("total_instances")
                word = "fatal" if words and all_fatal else "stopped"
        return "disabled" if not self.document.get("enabled", True) and word == "stopped" else word


def programs(client: Client, *, stats: bool = False) -> list[Program]:
    """Return all programs with their states, in the order of their ids."""
    query = {"include_stats": True} if stats else {"include_status": True}
    return [Program(document) for document in client.get("programs", **query)["programs"]]


def choose(
    client: Client, selectors: Sequence[str], *, everything: bool = False, stats: bool = False
) -> list[Program]:
    """Return the programs that selectors name, each once; raise Absent if one of them names none."""
    temporary = [Program({"id": text, "name": text}) for text in selectors if is_temporary(text)]
    rest = [text for text in selectors if not is_temporary(text)]
    if temporary and not rest and not everything:
        return temporary
    present = programs(client, stats=stats)
    if everything:
        return present
    chosen = {program.id: program for program in temporary}
    for selector in rest:
        matching = _matching(present, selector)
        if not matching:
            hint = "; all programs are --all" if selector == "all" else ""
            raise Absent(f"No program matches '{selector}'{hint}")
        chosen.update((program.id, program) for program in matching)
    return list(chosen.values())


def one(client: Client, name: str) -> Program:
    """Return the one program that a name or id stands for."""
    found = choose(client, [name])
    if len(found) > 1:
        raise Absent(f"'{name}' stands for {len(found)} programs: name one")
    return found[0]


def is_temporary(selector: str) -> bool:
    """Return whether a selector is the id of a temporary program."""
    return _TEMPORARY.fullmatch(selector) is not None


def is_exact(selector: str) -> bool:
    """Return whether a selector is a name or an id."""
    return not (selector.startswith("@") or "=" in selector or any(sign in selector for sign in "*?["))


def _matching(present: list[Program], selector: str) -> list[Program]:
    """Return what a selector names. A name goes first, whatever characters it has."""
    if named := [program for program in present if program.name == selector]:
        return named
    if selector.isdecimal():
        return [program for program in present if program.id == int(selector)]
    if selector.startswith("@"):
        return [program for program in present if program.state == selector[1:]]
    if "=" in selector:
        key, _, value = selector.partition("=")
        return [program for program in present if program.document.get("labels", {}).get(key) == value]
    return [program for program in present if fnmatchcase(program.name, selector)]


def side_by_side(function: Callable[[Item], Result], chosen: Sequence[Item]) -> list[Result]:
    """Call a function for each item, a few at a time, and return the results in their order."""
    if len(chosen) <= 1:
        return [function(each) for each in chosen]
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as threads:
        return list(threads.map(function, chosen))
