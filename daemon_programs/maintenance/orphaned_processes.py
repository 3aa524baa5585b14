"""End orphaned processes: they have the stack's environment markers, but supervisord does not run them."""

import os
from collections.abc import Iterator
from functools import partial

from django.conf import settings

from daemon_programs.maintenance.reconcile import Difference, correct
from daemon_programs.supervisor.gateway import supervisor
from daemon_programs.supervisor.processes import survivors, tree
from daemon_programs.supervisor.processes.notes import Owner
from daemon_programs.supervisor.processes.survivors import Found
from daemon_programs.supervisor.states import ProcessState, States

_GRACE_SECONDS = 10.0


def end(*, dry_run: bool = False) -> list[Difference]:
    """End all orphaned processes, unless it is a dry run; return one difference for each owner of some."""
    return correct(list(_differences()), dry_run=dry_run)


def _differences() -> Iterator[Difference]:
    found = _find()
    for owner in sorted(set(found.values())):
        pids = sorted(identity.pid for identity in found if found[identity] == owner)
        description = f"{owner.group} has orphaned processes (pid {', '.join(map(str, pids))})"
        yield Difference(description, "ended", partial(_end, owner))


def _end(owner: Owner) -> None:
    def find_of_owner() -> Found:
        return {identity: each for identity, each in _find().items() if each == owner}

    survivors.end(find_of_owner, lambda owner: _GRACE_SECONDS)


def _find() -> Found:
    """Return the orphaned processes, with the program or part of the stack that each belongs to."""
    # Processes before states, so that a process which is started in between is not taken for orphaned.
    found = survivors.find(str(settings.SUPERVISORD_SOCKET), str(settings.NOTES_FOLDER))
    states = supervisor.states()
    active = set(_active(states))
    known = {identity.pid for identity in tree.descend(_known_pids(states))}
    known |= {*tree.lineage(os.getpid()), *tree.lineage(states["pid"])}
    return {
        identity: owner
        for identity, owner in found.items()
        if identity.pid not in known and owner not in active
    }


def _processes(states: States) -> Iterator[tuple[Owner, ProcessState]]:
    for group, state in states["programs"].items():
        for name, process in state["processes"].items():
            yield Owner(group, name), process
    for name, part in states["stack"].items():
        yield Owner(name, name), {"state": part["state"], "pid": part["pid"]}


def _active(states: States) -> Iterator[Owner]:
    """Yield the owners that supervisord runs or is still ending."""
    for owner, process in _processes(states):
        if process.get("pid") or process.get("ending"):
            yield owner


def _known_pids(states: States) -> Iterator[int]:
    for _, process in _processes(states):
        yield from process.get("orphans", ())
        if process.get("pid"):
            yield process["pid"]
