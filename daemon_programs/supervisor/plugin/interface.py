"""The XML-RPC methods ``daemon.*``, which the client calls.

Each answer is one string of ASCII JSON: XML-RPC can't carry control characters, and takes a second to
build its own structures for a thousand programs.
"""

import base64
import json
import os
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from supervisor.datatypes import RestartWhenExitUnexpected
from supervisor.options import ProcessException
from supervisor.rpcinterface import RPCError
from supervisor.states import ProcessStates, SupervisorStates, getProcessStateDescription
from supervisor.xmlrpc import Faults

from daemon_programs.supervisor.plugin.programs.group import ProgramGroup
from daemon_programs.supervisor.plugin.programs.registry import Registry
from daemon_programs.supervisor.processes import signals
from daemon_programs.supervisor.states import PartState, ProgramState, Refusal, StatesChanged

_ALL = "*"
_NOT_RUNNING: Refusal = {"refused": "it does not run"}
_ORPHANS_SHOWN_SECONDS = 0.2  # how outdated orphans may be that are only reported


def _in_time(call: Callable[..., str]) -> Callable[..., str]:
    """Refuse a call that is read after its deadline, when its caller no longer waits for the answer.

    That happens if supervisord was suspended, or very busy. The deadline is the last argument, on the
    monotonic clock, which all processes of the host share.
    """

    @wraps(call)
    def checked(interface: "ProgramsInterface", *arguments: Any) -> str:
        *rest, deadline = arguments
        if time.monotonic() > deadline:
            raise RPCError(Faults.FAILED, "it comes too late")
        return call(interface, *rest)

    return checked


class ProgramsInterface:
    """The methods of ``[rpcinterface:daemon]``. Unknown groups and processes raise a BAD_NAME fault.

    ``by`` says who requests a change, for the history: see `daemon_programs.actors`. Return values are
    JSON; `supervisor.states` describes their shapes.
    """

    def __init__(self, registry: Registry, url: str) -> None:
        self.registry = registry
        self.url = url

    def announce(self) -> str:
        """Print the address of the API on supervisord's output. Called by the API once it listens."""
        self.registry.context.options.logger.info(f"ready: the API and its documentation are at {self.url}")
        return _answer(None)

    @_in_time
    def apply(self, name: str, by: str) -> str:
        """Read a program's file, add or replace the program, and return its state.

        A new program is started if it autostarts. A running program goes on undisturbed unless the change
        affects it: then it is restarted, after this call has returned.
        """
        try:
            return _answer(self.registry.apply(name, by).snapshot())
        except (OSError, ValueError, KeyError, TypeError) as problem:
            raise RPCError(Faults.CANT_REREAD, ascii(str(problem))) from problem

    @_in_time
    def remove(self, name: str, by: str) -> str:
        """Stop and forget a program, after this call has returned. An unknown program is no error."""
        group = self.registry.find(name)
        if group is not None:
            group.withdraw(by)
        return _answer(None)

    @_in_time
    def start(self, name: str, process: str, by: str) -> str:
        """Start a process, or all with ``*``; return the program's state, or why it can't be started."""
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
        """Begin to stop a process, or all with ``*``; return the program's state at once."""
        group, names = self._find(name, process)
        group.stop(names, by)
        return _answer(group.snapshot())

    @_in_time
    def restart(self, name: str, process: str, by: str) -> str:
        """Stop and start in one step, so that no start is lost and nothing runs twice.

        ``*`` restarts what runs. A process that is named is started if it does not run.
        """
        group, names = self._find(name, process)
        if process == _ALL:
            names = [each for each in names if group.processes[each].wanted]
        group.restart(names, by)
        return _answer(group.snapshot())

    @_in_time
    def signal(self, name: str, process: str, signal: str, scope: str, by: str) -> str:
        """Signal a process, or all with ``*``, or their trees; return the program's state."""
        group, names = self._find(name, process)
        names = [each for each in names if group.processes[each].has_own_process]
        if not names:
            return _answer(_NOT_RUNNING)
        if signal not in signals.SIGNALS or scope not in signals.SCOPES:
            raise RPCError(Faults.BAD_SIGNAL, f"{signal} to {scope}")
        group.signal(names, signals.number_of(signal), whole_tree=scope == signals.TREE)
        self._log(f"SIG{signal} sent to the {scope} of", group, names, by)
        return _answer(group.snapshot())

    @_in_time
    def reload(self, name: str, process: str, by: str) -> str:
        """Begin to reload a process, or all with ``*``, as the program says; return the requests' numbers."""
        group, names = self._find(name, process)
        names = [each for each in names if group.processes[each].takes_signals]
        if not names:
            return _answer(_NOT_RUNNING)
        self._log("reload of", group, names, by)
        return _answer({"reloads": {each: group.processes[each].reloads.request() for each in names}})

    @_in_time
    def write_input(self, name: str, process: str, text: str, close: bool) -> str:
        """Write to the standard input of a process, and with ``close`` end it; return why not, or null.

        ``text`` is in base64, since XML can't carry every character.
        """
        group, (each,) = self._find(name, process)
        return _answer(group.processes[each].write_input(base64.b64decode(text), close=close))

    def _log(self, what: str, group: ProgramGroup, names: list[str], by: str) -> None:
        """Log what the history doesn't have, since it changes no state."""
        of = group.processes[names[0]].namespec if len(names) == 1 else f"{group.config.name}:*"
        self.registry.context.options.logger.info(f"{what} '{of}', requested by {by}")

    def state(self, name: str) -> str:
        """Return a program's state; null if supervisord does not have it."""
        self.registry.context.orphans.look(at_most_every=_ORPHANS_SHOWN_SECONDS)
        group = self.registry.find(name)
        return _answer(group and group.snapshot())

    def states(self, boot: str, number: int) -> str:
        """Return the states of the stack's own processes and of the programs.

        Programs that have not changed since the answer with this number are left out; with another ``boot``
        none is.
        """
        registry, orphans = self.registry, self.registry.context.orphans
        orphans.look(at_most_every=_ORPHANS_SHOWN_SECONDS)
        since = number if boot == registry.boot else -1
        stack: dict[str, PartState] = {}
        programs: dict[str, ProgramState] = {}
        names = []
        for name, group in registry.supervisord.process_groups.items():
            if isinstance(group, ProgramGroup):
                names.append(name)
                if group.has_changed_since(since):
                    programs[name] = group.snapshot(with_orphans=False)
            else:
                stack.update(_stack_states(group))
        states: StatesChanged = {
            "boot": registry.boot,
            "number": registry.changes,
            "at": time.monotonic(),
            "pid": os.getpid(),
            "is_ending": registry.supervisord.options.mood < SupervisorStates.RUNNING,
            "programs": programs,
            "names": names if registry.names_changed > since else None,
            "orphans": orphans.listed(),
            "stack": stack,
            "unclaimed": orphans.unclaimed(),
        }
        return _answer(states)

    def journal(self, boot: str, number: int) -> str:
        """Return the next entries of the journal, and drop those of ``boot`` up to ``number``.

        After a loss, the answer has the present states of all programs as well.
        """
        journal = self.registry.context.journal
        if boot == journal.boot:
            journal.forget(number)
        batch = journal.batch()
        if batch["lost"]:
            batch["states"] = {group.config.name: group.snapshot() for group in self.registry.groups()}
        return _answer(batch)

    def recorded(self) -> str:
        """Wake the event streams. Called by the event listener when it has recorded events."""
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


def _stack_states(group: Any) -> dict[str, PartState]:
    return {
        process.config.name: _part_state(process)
        for process in group.processes.values()
        if _is_wanted(process)
    }


def _is_wanted(process: Any) -> bool:
    """Return whether a part of the stack is to run: some are only started when they are needed."""
    is_not_started = process.state == ProcessStates.STOPPED and not process.config.autostart
    return not is_not_started and not _has_finished(process)


def _has_finished(process: Any) -> bool:
    """Return whether a part has ended by itself since it had nothing to do."""
    is_expected = process.exitstatus in process.config.exitcodes
    return (
        process.state == ProcessStates.EXITED
        and process.config.autorestart == RestartWhenExitUnexpected
        and is_expected
    )


def _part_state(process: Any) -> PartState:
    return {
        "state": getProcessStateDescription(process.state).lower(),
        "pid": process.pid,
        "seconds": max(time.time() - process.laststart, 0.0) if process.pid else 0.0,
        "restarted": bool(process.laststop),
    }
