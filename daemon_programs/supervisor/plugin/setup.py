"""The plugin's factory: supervisord calls it once it is set up, before anything is started."""

import ctypes
import os
import resource
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from supervisor.http import deferring_http_channel

from daemon_programs.supervisor.plugin.broadcast import Broadcast
from daemon_programs.supervisor.plugin.context import Context, Limits
from daemon_programs.supervisor.plugin.group import ProgramGroup
from daemon_programs.supervisor.plugin.hooks import Hooks
from daemon_programs.supervisor.plugin.interface import ProgramsInterface
from daemon_programs.supervisor.plugin.journal import Journal
from daemon_programs.supervisor.plugin.keys import Keys
from daemon_programs.supervisor.plugin.orphans import Orphans
from daemon_programs.supervisor.plugin.registry import Registry
from daemon_programs.supervisor.plugin.wakeup import Wakeup

_PR_SET_CHILD_SUBREAPER = 36


@dataclass
class _Lasting:
    """What outlives a supervisord that sets itself up again (SIGHUP)."""

    journal: Journal = field(default_factory=Journal)
    keys: Keys = field(default_factory=Keys)
    open_files: tuple[int, int] | None = None
    context: Context | None = None  # of the last time


_lasting = _Lasting()


def make_interface(supervisord: Any, **settings: str) -> ProgramsInterface:
    """Build what the plugin consists of, and load the programs (again on SIGHUP).

    Settings, from the section: ``folder`` of the program files, ``socket`` of the broadcast, ``noted``,
    the folder of notes, ``environment``, the names of the variables that programs are given of
    supervisord's own, the API's ``url``, and what programs are kept to: ``users``, ``work_roots``,
    ``log_roots``, ``logs``.
    """
    deferring_http_channel.ac_out_buffer_size = 1024 * 1024  # an answer leaves in one loop turn
    _keep_descriptors_to_ourselves()
    _become_subreaper()
    context = _make_context(supervisord, settings)
    registry = Registry(context, supervisord, Path(settings["folder"]))
    registry.load()
    _include_programs_on_reread(supervisord.options, registry)
    _leave_stopped_groups_at_once(supervisord, context.wakeup)
    Hooks(registry).subscribe()
    context.wakeup.poke()  # the first turn would wait a second, with nothing started
    return ProgramsInterface(registry, settings["url"])


def _make_context(supervisord: Any, settings: dict[str, str]) -> Context:
    if _lasting.context is not None:
        _lasting.context.wakeup.leave()
        _lasting.context.broadcast.leave()
    if _lasting.open_files is None:
        _lasting.open_files = _raise_open_files_limit()
    options = supervisord.options
    socket_map = options.get_socket_map()

    def is_program(group: str) -> bool:
        return isinstance(supervisord.process_groups.get(group), ProgramGroup)

    _lasting.context = Context(
        options=options,
        wakeup=Wakeup(socket_map),
        broadcast=Broadcast(settings["socket"], socket_map),
        journal=_lasting.journal,
        orphans=Orphans(options.pidhistory, options.serverurl, _lasting.keys, is_program),
        keys=_lasting.keys,
        limits=Limits(
            users=_listed(settings["users"]),
            work_roots=_listed(settings["work_roots"]),
            log_roots=_listed(settings["log_roots"]),
            logs=settings["logs"],
            open_files=_lasting.open_files,
        ),
        notes_folder=settings["noted"],
        passed_environment=_listed(settings["environment"]),
    )
    return _lasting.context


def _leave_stopped_groups_at_once(supervisord: Any, wakeup: Wakeup) -> None:
    """Stock supervisord, at its end, goes on by one group a turn: for sixty it takes a minute."""

    def leave_stopped() -> None:
        groups = supervisord.stop_groups or []  # none yet, before the end
        before = len(groups)
        while groups and not groups[-1].get_unstopped_processes():
            groups.pop()
        if len(groups) < before:
            wakeup.poke()  # the next one is told to stop at the next turn

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
