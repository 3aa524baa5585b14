"""The calls that the gateway makes into supervisord, as ``daemon.*`` beside the stock ``supervisor.*``.

Every answer is one ASCII JSON string: XML-RPC has no way to carry control characters, and building
its own structures for a thousand programs takes a second.
"""

import json
import os
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from supervisor.options import ProcessException
from supervisor.rpcinterface import RPCError
from supervisor.states import getProcessStateDescription
from supervisor.xmlrpc import Faults

from daemon_programs.supervisor.plugin.group import ProgramGroup
from daemon_programs.supervisor.plugin.registry import Registry

_PR_SET_CHILD_SUBREAPER = 36
_ALL = "*"


def _in_time(call: Callable[..., str]) -> Callable[..., str]:
    """A change whose caller waits no more is not made: supervisord was stopped, or very busy, meanwhile.

    The last argument says until when, by the clock that all processes of the host share.
    """

    @wraps(call)
    def checked(interface: "ProgramsInterface", *arguments: Any) -> str:
        *asked, deadline = arguments
        if time.monotonic() > deadline:
            raise RPCError(Faults.FAILED, "it comes too late")
        return call(interface, *asked)

    return checked


class ProgramsInterface:
    """Registered as ``[rpcinterface:daemon]``; unknown groups and processes are BAD_NAME faults.

    ``by`` says who asks, for the history: see `daemon_programs.actors`.
    """

    def __init__(self, registry: Registry, url: str) -> None:
        self.registry = registry
        self.url = url

    def announce(self) -> str:
        """Say on supervisord's output where the API is. The API calls it: it listens now."""
        self.registry.context.options.logger.info(
            f"ready: the API, its documentation and the admin are at {self.url}"
        )
        return _answer(None)

    @_in_time
    def apply(self, name: str, by: str) -> str:
        """Bring one program to what its file says, and answer with its state.

        A program that is new is started if it autostarts. One that runs goes on undisturbed unless
        what runs has changed: then it is stopped and started again, after this call has answered.
        """
        try:
            return _answer(self.registry.apply(name, by).snapshot())
        except (OSError, ValueError, KeyError, TypeError) as problem:
            raise RPCError(Faults.CANT_REREAD, ascii(str(problem))) from problem

    @_in_time
    def remove(self, name: str, by: str) -> str:
        """Stop and forget one program, after this call has answered; unknown is forgotten already."""
        group = self.registry.find(name)
        if group is not None:
            group.withdraw(by)
        return _answer(None)

    @_in_time
    def start(self, name: str, process: str, by: str) -> str:
        """Start a process, or all with ``*``: ``{"refused": why}``, or the program's state."""
        group, names = self._find(name, process)
        for each in names[:1]:
            try:
                group.processes[each].check()
            except ProcessException as problem:
                return _answer({"refused": problem.args[0]})
        group.start(names, by)
        return _answer(group.snapshot())

    @_in_time
    def stop(self, name: str, process: str, by: str) -> str:
        """Tell a process, or all with ``*``, to stop; answers with the program's state at once."""
        group, names = self._find(name, process)
        group.stop(names, by)
        return _answer(group.snapshot())

    @_in_time
    def restart(self, name: str, process: str, by: str) -> str:
        """Stop and start again as one: no start is lost, nothing runs twice.

        A process that does not run is started, if it is named; ``*`` restarts what runs.
        """
        group, names = self._find(name, process)
        if process == _ALL:
            names = [each for each in names if group.processes[each].wanted]
        group.restart(names, by)
        return _answer(group.snapshot())

    def state(self, name: str) -> str:
        """One program's state; null when supervisord does not know it."""
        group = self.registry.find(name)
        return _answer(group and group.snapshot())

    def states(self) -> str:
        """The states of everything: ``{"pid", "programs": {group: state}, "stack": {name: {…}}}``."""
        stack = {}
        programs = {}
        for name, group in self.registry.supervisord.process_groups.items():
            if isinstance(group, ProgramGroup):
                programs[name] = group.snapshot()
            else:
                stack.update(_stack_states(group))
        return _answer({"pid": os.getpid(), "programs": programs, "stack": stack})

    def journal(self, boot: str, number: int) -> str:
        """What the event listener is to deal with next; it has dealt with ``boot``'s up to ``number``.

        After a loss (``lost``) the states as they are now stand beside it.
        """
        journal = self.registry.context.journal
        if boot == journal.boot:
            journal.forget(number)
        batch = journal.batch()
        if batch["lost"]:
            batch["states"] = {group.config.name: group.snapshot() for group in self.registry.groups()}
        return _answer(batch)

    def recorded(self) -> str:
        """The event listener has recorded something: whoever follows what happens can look."""
        self.registry.context.announce_recorded()
        return _answer(None)

    def _find(self, name: str, process: str) -> tuple[ProgramGroup, list[str]]:
        group = self.registry.find(name)
        if group is None:
            raise RPCError(Faults.BAD_NAME, name)
        if process == _ALL:
            return group, list(group.processes)
        if process not in group.processes:
            raise RPCError(Faults.BAD_NAME, f"{name}:{process}")
        return group, [process]


def _answer(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _stack_states(group: Any) -> dict[str, dict[str, Any]]:
    return {
        process.config.name: {"state": getProcessStateDescription(process.state).lower(), "pid": process.pid}
        for process in group.processes.values()
    }
