"""``wait``: return when programs are as they should be."""

import time
from typing import Any

import click

from daemonctl import options, selection
from daemonctl.client import Client
from daemonctl.commands.status import ended, status_route
from daemonctl.problems import Problem, Unreachable
from daemonctl.selection import Program

_PAUSE_SECONDS = 0.2
_GOALS = ("ready", "running", "stopped", "exited")
_ENDED = ("stopped", "exited", "fatal")


@click.command()
@options.selectors
@options.everything
@click.option("--for", "goal", type=click.Choice(_GOALS), default="ready", help="What to wait for: ready.")
@click.option("--timeout", type=click.FloatRange(0), default=30.0, help="Seconds to wait at most: 30.")
@click.pass_context
def wait(
    context: click.Context, selectors: tuple[str, ...], everything: bool, goal: str, timeout: float
) -> None:
    """Wait until all programs are ready, running, stopped or exited.

    A program without a probe is ready when it runs. `stopped` is met by whatever does not run any more,
    `exited` by a run that has ended by itself. The exit code is 1 if that takes too long, or can't happen any
    more, because the program is fatal. A lost connection is waited for.
    """
    options.required(selectors, everything)
    client = options.client(context)
    deadline = time.monotonic() + timeout
    for program in selection.choose(client, selectors, everything=everything):
        _wait_for(client, program, goal, deadline, timeout)


def _wait_for(client: Client, program: Program, goal: str, deadline: float, timeout: float) -> None:
    while True:
        try:
            answer = client.get(status_route(program))
            states = _states(answer)
            if states and all(_meets(state, goal) for state in states):
                return
            if goal in ("ready", "running") and any(state["status"] == "fatal" for state in states):
                reason = answer.get("problem") or ended(answer.get("last_run") or {})
                raise Problem(f"{program.name} can't run" + (f": {reason}" if reason else ""))
            words = ", ".join(sorted({str(state["status"]) for state in states})) or "stopped"
            because = next((f": {s['not_ready_because']}" for s in states if "not_ready_because" in s), "")
        except Unreachable as problem:
            words, because = problem.message, ""
        if time.monotonic() > deadline:
            raise Problem(f"{program.name} is not {goal} after {timeout:g} s, it is {words}{because}")
        time.sleep(_PAUSE_SECONDS)


def _states(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the states of a program's processes. Those of its instances that are stopped are not listed."""
    if "instances" in answer:
        missing = answer["total_count"] - len(answer["instances"])
        return [*answer["instances"], *([{"status": "stopped"}] if missing else [])]
    status = answer["status"]
    return [status if isinstance(status, dict) else answer]


def _meets(state: dict[str, Any], goal: str) -> bool:
    if goal == "ready":
        return state["status"] == "running" and state.get("ready", True) is True
    if goal == "stopped":
        return state["status"] in _ENDED
    return bool(state["status"] == goal)
