"""The calls that the gateway makes into supervisord, as ``daemon.*`` beside the stock ``supervisor.*``.

Every answer is one ASCII JSON string: XML-RPC has no way to carry control characters, and building
its own structures for a thousand programs takes a second.
"""

import ctypes
import json
import os
import resource
import signal
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from supervisor import events
from supervisor.http import deferring_http_channel
from supervisor.options import ProcessException
from supervisor.rpcinterface import RPCError
from supervisor.states import getProcessStateDescription
from supervisor.xmlrpc import Faults

from daemon_programs.supervisor.events import POKE
from daemon_programs.supervisor.plugin.broadcast import Broadcast
from daemon_programs.supervisor.plugin.context import CONTEXT, Orphans
from daemon_programs.supervisor.plugin.group import SHUTDOWN, ProgramGroup
from daemon_programs.supervisor.plugin.journal import Journal
from daemon_programs.supervisor.plugin.process import ProgramProcess
from daemon_programs.supervisor.plugin.registry import Registry
from daemon_programs.supervisor.plugin.wakeup import Wakeup
from daemon_programs.supervisor.processes.tree import descend, send

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
        self.registry.options.logger.info(
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
        journal = CONTEXT.journal
        if boot == journal.boot:
            journal.forget(number)
        batch = journal.batch()
        if batch["lost"]:
            batch["states"] = {group.config.name: group.snapshot() for group in self.registry.groups()}
        return _answer(batch)

    def recorded(self) -> str:
        """The event listener has recorded something: whoever follows what happens can look."""
        CONTEXT.tell_recorded()
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


def _tell(event: events.ProcessStateEvent) -> None:
    """Tell of a program's state change."""
    process = event.process
    if not isinstance(process, ProgramProcess):
        return
    spec = process.group.config.spec
    CONTEXT.tell_change(
        {
            "group": process.group.config.name,
            "process": process.config.name,
            "name": spec["name"],
            "from": getProcessStateDescription(event.from_state).lower(),
            "at": time.time(),
            "by": process.by,
            **process.snapshot(),
        }
    )


def _poke_the_listener() -> None:
    events.notify(events.RemoteCommunicationEvent(POKE, ""))
    CONTEXT.wakeup.poke()  # its turn in the loop may be over already


def _end_what_a_part_leaves(event: events.ProcessStateEvent) -> None:
    """A part of the stack itself has ended: what it leaves would go on working beside the next one."""
    process = event.process
    if not isinstance(process, ProgramProcess):
        name = process.config.name
        for identity in descend(CONTEXT.orphans.of(process.group.config.name, name, time.monotonic())):
            send(identity, signal.SIGKILL)


def _stop_everything(event: events.SupervisorStoppingEvent) -> None:
    """At supervisord's end stop all programs side by side, not each after the other."""
    for group in CONTEXT.registry.groups():
        group.end_early(SHUTDOWN)


def _leave_stopped_groups_at_once(supervisord: Any) -> None:
    """Stock supervisord, at its end, goes on by one group a turn: for sixty it takes a minute."""

    def leave_stopped() -> None:
        groups = supervisord.stop_groups or []  # none yet, before the end
        before = len(groups)
        while groups and not groups[-1].get_unstopped_processes():
            groups.pop()
        if len(groups) < before:
            CONTEXT.wakeup.poke()  # the next one is told to stop at the next turn

    supervisord.ordered_stop_groups_phase_2 = leave_stopped


def _become_subreaper() -> None:
    """Adopt the programs' orphans, so that they can be found and ended."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def _keep_descriptors_to_ourselves() -> None:
    """No child inherits what the launcher left open, such as the lock of the state folder."""
    for entry in os.listdir("/proc/self/fd"):
        descriptor = int(entry)
        if descriptor > 2:
            try:
                os.set_inheritable(descriptor, False)
            except OSError:
                continue  # the descriptor of this very listing


def _raise_open_files_limit() -> tuple[int, int]:
    """Room for the pipes and logs of a thousand programs; the programs keep the limit that was."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft, hard


def _include_programs_on_reread(options: Any, registry: Registry) -> None:
    """Let stock ``reread`` and ``update`` see the programs as configured: nothing to remove."""
    process_config = options.process_config

    def with_programs(do_usage: bool = True) -> None:
        process_config(do_usage=do_usage)
        options.process_group_configs = options.process_group_configs + registry.configs()

    options.process_config = with_programs


def _listed(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))


def make_interface(supervisord: Any, **settings: str) -> ProgramsInterface:
    """Supervisord calls this once it is set up, before anything is started (again on SIGHUP).

    Settings, from the section: ``folder`` of the program files, ``socket`` of the broadcast,
    ``environment``, the names of the variables that programs are given of supervisord's own, the API's
    ``url``, and what programs are kept to: ``users``, ``work_roots``, ``log_roots``, ``logs``.
    """
    for old in ("wakeup", "broadcast"):
        if hasattr(CONTEXT, old):
            getattr(CONTEXT, old).leave()
    options = supervisord.options
    socket_map = options.get_socket_map()
    deferring_http_channel.ac_out_buffer_size = 1024 * 1024  # an answer leaves in one loop turn
    _keep_descriptors_to_ourselves()
    _become_subreaper()
    if not hasattr(CONTEXT, "open_files_limit"):
        CONTEXT.open_files_limit = _raise_open_files_limit()
    CONTEXT.log = options.logger.critical
    CONTEXT.wakeup = Wakeup(socket_map)
    CONTEXT.broadcast = Broadcast(settings["socket"], socket_map)
    CONTEXT.passed_environment = _listed(settings["environment"])
    CONTEXT.allowed_users = _listed(settings["users"])
    CONTEXT.work_roots = _listed(settings["work_roots"])
    CONTEXT.log_roots = _listed(settings["log_roots"])
    CONTEXT.logs = settings["logs"]
    if not hasattr(CONTEXT, "journal"):
        CONTEXT.journal = Journal(_poke_the_listener)
    CONTEXT.noted = settings["noted"]
    CONTEXT.orphans = Orphans(options.pidhistory, options.serverurl)
    CONTEXT.registry = Registry(supervisord, Path(settings["folder"]))
    CONTEXT.registry.load()
    _include_programs_on_reread(options, CONTEXT.registry)
    _leave_stopped_groups_at_once(supervisord)
    events.subscribe(events.ProcessStateEvent, _tell)
    for end in (events.ProcessStateExitedEvent, events.ProcessStateBackoffEvent):
        events.subscribe(end, _end_what_a_part_leaves)
    events.subscribe(events.SupervisorStoppingEvent, _stop_everything)
    CONTEXT.wakeup.poke()  # the first turn would wait a second, with nothing started
    return ProgramsInterface(CONTEXT.registry, settings["url"])
