"""What was found about a program's processes: whether they are ready and healthy, and what they wait for."""

from typing import Any

from daemon_programs.models import Program
from daemon_programs.programs.observed import readiness
from daemon_programs.supervisor.states import ProcessState, Unmet

_DISABLED, _REMOVED, _UNKNOWN = "disabled", "removed", "unknown"


def findings(program: Program, process: ProcessState) -> dict[str, Any]:
    """Return ``ready``, ``healthy``, the reasons if not, and ``waiting_for``, as far as there is any."""
    found: dict[str, Any] = {}
    if program.ready_port is not None:  # which is asked now, as ever
        is_running = process["state"] == "running" and not process.get("queued")
        found["ready"] = is_running and readiness.accepts(program.ready_port)
    elif program.ready is not None:
        found["ready"] = process.get("ready", False)
        if "not_ready_because" in process:
            found["not_ready_because"] = process["not_ready_because"]
    for name in ("healthy", "unhealthy_because", "told"):
        if name in process:
            found[name] = process[name]
    if unmet := process.get("waiting_for"):
        found["waiting_for"] = _waiting_for(unmet)
    return found


def _waiting_for(unmet: list[Unmet]) -> list[dict[str, str]]:
    """Return the conditions that don't hold yet, with the status of the programs that they are about."""
    missing = [each["program"] for each in unmet if each["state"] is None]
    enabled = dict(Program.objects.filter(name__in=missing).values_list("name", "enabled")) if missing else {}
    words = {None: _REMOVED, False: _DISABLED, True: _UNKNOWN}
    return [
        {
            "program": each["program"],
            "condition": each["condition"],
            "status": each["state"] or words[enabled.get(each["program"])],
        }
        for each in unmet
    ]
