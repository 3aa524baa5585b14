"""What is known of the programs of one host: a snapshot, and the events since. It makes no calls."""

from collections.abc import Iterable
from typing import Any, NamedTuple

_ALIVE = ("running", "starting", "stopping")
_KEYS = ("port", "instance")  # what tells the instances of a program apart
DISABLED = "disabled"


class Usage(NamedTuple):
    """What the processes of a program use."""

    cpu_percent: float
    memory_bytes: int


class Known:
    """The programs of a host by id, each as the document that the host gives, with ``status``.

    What changes by itself all the time is not part of the documents: ``uptime`` and ``stats``.
    """

    def __init__(self) -> None:
        self.programs: dict[int, dict[str, Any]] = {}
        self.usage: dict[int, Usage] = {}
        self._is_changed: set[int] = set()

    def replace(self, listed: Iterable[dict[str, Any]], *, with_stats: bool, later: Iterable[Any]) -> None:
        """Take over a snapshot; apply the events again that have come since it was asked for."""
        found = {}
        usage: dict[int, Usage] = {}
        for document in listed:
            found[int(document["id"])] = document
            if used := _take_stats(document):
                usage[int(document["id"])] = used
        if with_stats:
            self._is_changed |= {id for id in found if usage.get(id) != self.usage.get(id)}
            self.usage = usage
        self._is_changed |= self.programs.keys() - found.keys()
        self._is_changed |= {id for id, document in found.items() if document != self.programs.get(id)}
        self.programs = found
        for event in later:
            self.apply(event)

    def apply(self, event: dict[str, Any]) -> bool:
        """Apply a state change; return whether a new snapshot may tell more.

        It may if the program isn't known yet, or if the change was asked for: then its configuration
        may have changed as well.
        """
        id = event.get("program_id")
        if id is None:
            return False  # of a temporary program
        document = self.programs.get(id)
        if document is None:
            return True
        changed = {**document, "status": _status_after(document.get("status") or {"id": id}, event)}
        if changed != document:
            self.programs[id] = changed
            self._is_changed.add(id)
        return "user" in event

    def take_changed(self) -> set[int]:
        """Return the ids of programs that have changed since the last call, removed ones among them."""
        changed, self._is_changed = self._is_changed, set()
        return changed


def state_of(document: dict[str, Any]) -> str:
    """Return the state of a program in one word, as the list of its host has it."""
    if not document["enabled"]:
        return DISABLED
    status = document["status"]
    if "instances" not in status:
        return str(status["status"])
    words = [instance["status"] for instance in status["instances"]]
    for word in ("running", "starting", "backoff", "stopping"):
        if word in words:
            return word
    return "fatal" if words and words.count("fatal") == status["total_instances"] else "stopped"


def _take_stats(document: dict[str, Any]) -> Usage | None:
    """Remove what changes by itself from a document; return the usage of the program if it runs."""
    status = document["status"]
    parts = [document, status, *status.get("instances", ())]
    measured = [stats for part in parts if (stats := part.pop("stats", None))]
    for part in parts[1:]:
        part.pop("uptime", None)
    if not measured:
        return None
    return Usage(
        round(sum(stats["cpu_percent"] for stats in measured), 1),
        sum(stats["memory_rss_bytes"] for stats in measured),
    )


def _status_after(status: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
    """Return the ``status`` of a program after a state change of one of its processes."""
    live: dict[str, Any] = {"status": event["state"]}
    if event["state"] in _ALIVE and event.get("pid"):
        live["pid"] = event["pid"]
    key = next((key for key in _KEYS if key in event), None)
    if "instances" not in status or key is None:
        if "instances" in status or key is not None:
            return status  # of what the program was before an edit, or is after it
        return {"id": status["id"], **live}
    others = [each for each in status["instances"] if each.get(key) != event[key]]
    if event["state"] != "stopped":  # those are not listed
        former: dict[str, Any] = next(
            (each for each in status["instances"] if each.get(key) == event[key]), {}
        )
        name = former.get("instance_name") or f"{event['name']}_{event[key]}"
        others.append({key: event[key], "instance_name": name, **live})
        others.sort(key=lambda each: each.get(key, 0))
    running = sum(each["status"] == "running" for each in others)
    return {**status, "running_instances": running, "instances": others}
