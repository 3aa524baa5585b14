"""The verbs of programs of hosts, as the buttons of the console call them: each is recorded."""

from typing import Any, NamedTuple

from daemon_programs.admin.presentation.verbs import Button
from daemon_programs.exceptions import DaemonError
from fleet.models import FollowedProgram
from fleet.passing import history

_WAIT_SECONDS = 5  # for a start, so that the next page shows the result
_ANSWER_SECONDS = 30.0
_WANTED = ("running", "starting", "backoff")  # what a stop would end


class Verb(NamedTuple):
    """A verb: what was done, what a request has in its body, and what the button says."""

    done: str
    body: dict[str, Any]
    title: str


VERBS = {
    "start": Verb(
        "started", {"wait": True, "timeout": _WAIT_SECONDS, "if_not_running": True}, "Start what does not run"
    ),
    "stop": Verb("stopped", {}, "Ask it to end"),
    "restart": Verb("restarted", {"wait": True, "timeout": _WAIT_SECONDS}, "Stop it, and start it again"),
}


class Result(NamedTuple):
    """What has become of a request, as the end of a sentence."""

    sentence: str
    is_done: bool = False
    has_failed: bool = False


def fitting(program: FollowedProgram) -> list[Button]:
    """Return the buttons that fit what is known of a program; those of one with instances mean all."""
    if not program.enabled:
        return []
    has_some = bool((program.document.get("status") or {}).get("instances"))
    is_wanted = program.state in _WANTED
    names = ["stop", "restart"] if is_wanted or has_some else []
    if not is_wanted or _has_instances(program):
        names.insert(0, "start")
    suffix = " all" if _has_instances(program) else ""
    return [Button(name, f"{name.capitalize()}{suffix}", VERBS[name].title) for name in names]


def operate(program: FollowedProgram, name: str, user: str) -> Result:
    """Have a host do a verb to a program, for a user; what was sent is recorded, whatever comes of it."""
    from fleet import client  # loads what an ordinary stack has no use for

    host = program.host
    route = f"programs/{program.program_id}/{name}"
    body = {**VERBS[name].body, **({"all": True} if _has_instances(program) else {})}
    call = history.record(user, host.name, "POST", f"{client.PATH}{route}")
    try:
        answer = client.call(host, "POST", route, body=body, user=user, seconds=_ANSWER_SECONDS)
    except DaemonError as problem:
        history.complete(call, None, str(problem))
        return Result(str(problem), has_failed=True)
    history.complete(call, answer.code, "" if answer.is_ok else answer.error)
    if not answer.is_ok:
        return Result(answer.error, has_failed=True)
    if isinstance(answer.document, dict) and answer.document.get("already_running"):
        return Result("runs already")
    return Result(VERBS[name].done, is_done=True)


def _has_instances(program: FollowedProgram) -> bool:
    return bool(program.document.get("port_range")) or program.document.get("numprocs", 1) > 1
