"""What a host is asked for in the part of a roll-out, and whether its answer is a success."""

from collections.abc import Iterable, Iterator
from typing import Any

from fleet.models import Rollout, RolloutPart

APPLY, BATCH = "programs/apply", "programs/batch"
KEYED = (APPLY, BATCH)  # the routes that take a key
# What a batch may do again without doing more: of a program that runs already, a start is skipped.
_REPEATABLE = ("start", "stop", "enable", "disable")
_WAITING = ("start", "restart")
_READ_ONLY = ("id", "hoody_kit", "status", "stats")
_UNWELL = ("fatal", "backoff", "unknown")
_ALIVE = ("running", "starting", "backoff")

Document = dict[str, Any]
Request = dict[str, Any]


def forward(rollout: Rollout) -> list[Request]:
    """Return the requests that make the change; they wait until the programs are ready."""
    if rollout.kind == Rollout.Kind.APPLY:
        return [_request(APPLY, {**rollout.body, "wait": True})]
    waits = {"wait": True} if rollout.body["action"] in _WAITING else {}
    return [_request(BATCH, {**rollout.body, **waits})]


def concerned(rollout: Rollout, programs: Iterable[Document]) -> list[Document]:
    """Return the programs of a host that an apply may change: those it names, and those of its set."""
    names, set = _names_of(rollout), rollout.body.get("set")
    return [each for each in programs if each["name"] in names or (set and each.get("set") == set)]


def back(part: RolloutPart, programs: Iterable[Document]) -> list[Request]:
    """Return the requests that take a change back, on a host that has these programs now.

    What was created is removed, everything else applied as it was, and started again if it was removed.
    """
    rollout, former = part.rollout, part.former
    set = rollout.body.get("set")
    present = {each["name"]: each for each in programs}
    before = {each["name"] for each in former}
    created = [present[name]["id"] for name in _names_of(rollout) - before if name in present]
    requests = []
    if created:
        requests.append(_request(BATCH, {"action": "remove", "select": {"ids": sorted(created)}}))
    if former:
        # Programs that were taken into the set can't leave it by being applied.
        taken = [each["name"] for each in former if set and not each.get("set") and each["name"] in present]
        documents = [_as_it_was(each, is_gone=each["name"] not in present) for each in former]
        body = {"programs": documents, "wait": True, "timeout": rollout.timeout}
        if taken:
            body["set"] = set
        requests.append(_request(APPLY, body))
        requests += [_request(f"programs/edit/{present[name]['id']}", {"set": None}) for name in taken]
    gone = [each["id"] for each in former if each["name"] not in present and _was_alive(each)]
    if gone:
        options = {"wait": True, "timeout": rollout.timeout}
        requests.append(_request(BATCH, {"action": "start", "select": {"ids": sorted(gone)}, **options}))
    return requests


def is_repeatable(request: Request) -> bool:
    """Return whether a request that may have been carried out can be sent again without doing more."""
    if request["route"] != BATCH:
        return True
    # Ids are chosen on the way back: what is removed already is not found.
    return request["body"]["action"] in _REPEATABLE or _removes_by_id(request)


def problem_of(request: Request, code: int, answer: Any) -> str:
    """Return what is wrong in the answer to a request, as a sentence; an empty text if nothing is."""
    if code != 200 or not isinstance(answer, dict):
        sentence = answer.get("error") if isinstance(answer, dict) else None
        return sentence if isinstance(sentence, str) else f"The host has answered with the status {code}"
    if request["route"] != BATCH:
        return ""
    results = answer.get("results", [])
    failed = [each for each in results if each.get("result") == "failed"]
    if _removes_by_id(request):
        failed = [each for each in failed if each.get("code") != "not_found"]
    if not failed:
        return ""
    first = failed[0]
    subject = f"Program '{first['name']}': " if "name" in first else ""
    others = f" (and {len(failed) - 1} more)" if failed[1:] else ""
    return f"{subject}{first.get('error', 'failed')}{others}"


def is_changed(part: RolloutPart) -> bool:
    """Return whether a part that has ended has changed its host, or may have, and the host didn't undo it."""
    if part.former is None:
        return False
    if part.state == RolloutPart.State.UNKNOWN or part.code is None:
        return part.state == RolloutPart.State.UNKNOWN
    answer = part.answer if isinstance(part.answer, dict) else {}
    return part.code == 200 or ("not_ready" in answer and not answer.get("rolled_back"))


def unwell(part: RolloutPart, programs: Iterable[Document]) -> str:
    """Return which of the programs that a part has changed is not well, as a sentence; or an empty text."""
    touched = set(_touched(part))
    for program in programs:
        if program["id"] in touched and program.get("enabled", True):
            for status in _processes(program):
                if status.get("status") in _UNWELL:
                    return f"Program '{program['name']}' is {status['status']}"
                if status.get("status") == "running" and status.get("ready") is False:
                    return f"Program '{program['name']}' is not ready"
    return ""


def _request(route: str, body: Document) -> Request:
    return {"route": route, "body": body}


def _names_of(rollout: Rollout) -> set[str]:
    return {each["name"] for each in rollout.body["programs"]}


def _as_it_was(program: Document, *, is_gone: bool) -> Document:
    """Return a program for an apply. One that is gone gets its id again."""
    fields = {name: value for name, value in program.items() if name not in _READ_ONLY}
    return {**fields, "id": program["id"]} if is_gone else fields


def _removes_by_id(request: Request) -> bool:
    body = request["body"]
    return request["route"] == BATCH and body["action"] == "remove" and set(body["select"]) == {"ids"}


def _was_alive(program: Document) -> bool:
    return any(status.get("status") in _ALIVE for status in _processes(program))


def _processes(program: Document) -> list[Document]:
    status = program.get("status") or {}
    instances: list[Document] = status.get("instances", [status])
    return instances


def _touched(part: RolloutPart) -> Iterator[int]:
    """Yield the ids of the programs that a part has changed."""
    answer = part.answer or {}
    yield from (each["id"] for each in answer.get("plan", ()) if each.get("action") in ("create", "change"))
    yield from (each["id"] for each in answer.get("results", ()) if each.get("result") == "done")
